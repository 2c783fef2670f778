// The words of verdicts, on a piece or on a whole.
import { t } from "../words.js";

/** The icon and the word of a verdict, on one piece or on a whole. */
export function badgeOf(verdict) {
  switch (verdict) {
    case "fits":
      return { icon: "✓", word: t("fits") };
    case "does not fit":
      return { icon: "✗", word: t("does not fit") };
    case "cannot know":
      return { icon: "?", word: t("cannot know") };
    default:
      return { icon: "?", word: t("unsure") };
  }
}

/** A sentence for everything that does not fit or is open; one that says so where nothing is. */
export function reasonsOf({ verdicts, identification }) {
  const reasons = verdicts
    .filter(({ verdict }) => verdict !== "fits")
    .map(({ verdict, subject, found, fix }) => {
      const line = `${badgeOf(verdict).word}: ${subject}: ${found}`;
      return fix ? `${line}; ${fix}` : line;
    });
  if (!reasons.length) reasons.push(t("Everything that was looked at fits."));
  if (identification?.title) reasons.unshift(`${identification.title}, ${identification.confidence}`);
  return reasons;
}

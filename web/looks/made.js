// Words and elements that the strip and its panel have in common; all text is text, never HTML.
import { t } from "../words.js";

/** An element with a class and a text. */
export function made(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}

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

/** A noise level in three digits. */
export function short(level) {
  return String(Number(level.toPrecision(3)));
}

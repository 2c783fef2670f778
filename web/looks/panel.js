// The panel of a node: every reason behind its badge, its layers by block, its noise levels.
import { t } from "../words.js";
import { blocksOf, coverageBar, coverageWords } from "./bar.js";
import { curveWords, drawCurve } from "./curve.js";
import { isTrained } from "./levels.js";
import { badgeOf, made, short } from "./made.js";

/** Open it; Escape, the button or a click beside it closes it, and the focus goes back. */
export function openPanel(title, { facts, isOld }) {
  const before = document.activeElement;
  const dialog = made("dialog", "fewstep-panel");
  const close = made("button", "fewstep-close", t("Close"));
  Object.assign(close, { type: "button", onclick: () => dialog.close() });
  const heading = made("h2", "", title);
  heading.id = "fewstep-panel-title";
  dialog.setAttribute("aria-labelledby", heading.id);
  const top = made("header");
  top.append(heading, close);
  dialog.append(top);
  if (isOld) {
    const words = t("The node has been changed since its last run; this is of that run.");
    dialog.append(made("p", "fewstep-note", words));
  }
  dialog.append(...sections(facts));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  // the page has shortcuts of its own
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

function* sections({ verdicts, identification, coverage, curve }) {
  if (verdicts) yield* section(t("Verdicts"), verdictTable(verdicts));
  if (identification) yield* section(t("What the file is"), ...fileOf(identification));
  if (coverage) yield* section(coverageWords(coverage), coverageBar(coverage), blockTable(coverage));
  if (curve) {
    const words = made("p", "", curveWords(curve));
    yield* section(t("Noise levels"), drawCurve(curve), words, levelTable(curve));
  }
}

function section(title, ...content) {
  return [made("h3", "", title), ...content];
}

function verdictTable(verdicts) {
  const names = [t("verdict"), t("piece"), t("found"), t("needed"), t("what you see"), t("what to do")];
  const rows = verdicts.map(({ verdict, subject, found, needed, symptom, fix }) => {
    const { icon, word } = badgeOf(verdict);
    const badge = made("span", "fewstep-verdict");
    badge.dataset.verdict = verdict;
    const mark = made("span", "fewstep-mark", icon);
    mark.setAttribute("aria-hidden", "true");
    badge.append(mark, word);
    return [badge, subject, found, needed, symptom, fix];
  });
  return table(names, rows);
}

function fileOf({ file, title, confidence, reasons, warnings }) {
  const list = made("ul");
  list.append(...reasons.map((reason) => made("li", "", reason)));
  list.append(...warnings.map((warning) => made("li", "", `${t("warning")}: ${warning}`)));
  const found = `${file}: ${title ?? t("no recipe")}, ${confidence}`;
  return [made("p", "", found), list];
}

function blockTable(coverage) {
  const rows = blocksOf(coverage).map(({ name, layers, matched, counts }) => {
    const others = Object.entries(counts).filter(([status]) => status !== "matched");
    const words = others.map(([status, count]) => `${count} ${status}`).join(", ");
    return [name, coverageWords({ matched, layers }), words];
  });
  return table([t("block"), t("fits"), t("does not fit")], rows);
}

function levelTable({ sigmas, grid }) {
  const words = { true: t("yes"), false: t("no"), null: t("not known") };
  const rows = sigmas.map((level, i) => [
    i < sigmas.length - 1 ? String(i + 1) : t("end"),
    short(level),
    words[isTrained(level, grid)],
  ]);
  return table([t("step"), t("noise level"), t("trained level")], rows);
}

/** A table without the columns that are empty in every row. */
function table(names, rows) {
  const kept = names.map((_, column) => rows.some((row) => row[column] !== ""));
  const whole = made("table");
  const head = whole.createTHead().insertRow();
  for (const name of names.filter((_, column) => kept[column])) {
    const cell = made("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = whole.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row.filter((_, column) => kept[column])) line.insertCell().append(value);
  }
  return whole;
}

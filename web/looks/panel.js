// The panel of a node: every reason behind its badge, its layers by block, its noise levels.
import { button, element } from "../elements.js";
import { t } from "../words.js";
import { blocksOf, coverageBar, coverageWords } from "./bar.js";
import { curveWords, drawCurve } from "./curve.js";
import { isTrained, short } from "./levels.js";
import { badgeOf } from "./verdicts.js";

/** Open it; Escape, the button or a click beside it closes it, and the focus goes back. */
export function openPanel(title, { facts, isOld }) {
  const before = document.activeElement;
  const close = button(t("Close"), null, () => dialog.close());
  close.className = "fewstep-close";
  const heading = element("h2", { id: "fewstep-panel-title", textContent: title });
  const top = element("header", {}, [heading, close]);
  const dialog = element("dialog", { className: "fewstep fewstep-panel" }, [top]);
  dialog.setAttribute("aria-labelledby", heading.id);
  if (isOld) {
    const words = t("The node has been changed since its last run; this is of that run.");
    dialog.append(element("p", { className: "fewstep-note", textContent: words }));
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
    const words = element("p", { textContent: curveWords(curve) });
    yield* section(t("Noise levels"), drawCurve(curve), words, levelTable(curve));
  }
}

function section(title, ...content) {
  return [element("h3", { textContent: title }), ...content];
}

function verdictTable(verdicts) {
  const names = [t("verdict"), t("piece"), t("found"), t("needed"), t("what you see"), t("what to do")];
  const rows = verdicts.map(({ verdict, subject, found, needed, symptom, fix }) => {
    const { icon, word } = badgeOf(verdict);
    const mark = element("span", { className: "fewstep-mark", textContent: icon });
    mark.setAttribute("aria-hidden", "true");
    const badge = element("span", { className: "fewstep-verdict" }, [mark, word]);
    badge.dataset.verdict = verdict;
    return [badge, subject, found, needed, symptom, fix];
  });
  return table(names, rows);
}

function fileOf({ file, title, confidence, reasons, warnings }) {
  const words = [...reasons, ...warnings.map((warning) => `${t("warning")}: ${warning}`)];
  const lines = words.map((line) => element("li", { textContent: line }));
  const found = `${file}: ${title ?? t("no recipe")}, ${confidence}`;
  return [element("p", { textContent: found }), element("ul", {}, lines)];
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
  const whole = element("table");
  const head = whole.createTHead().insertRow();
  for (const name of names.filter((_, column) => kept[column]))
    head.append(element("th", { textContent: name, scope: "col" }));
  const body = whole.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row.filter((_, column) => kept[column])) line.insertCell().append(value);
  }
  return whole;
}

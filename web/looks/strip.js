// The strip on a node: a row with badge, passes and time, then the bar, then the curve.
import { button, element } from "../elements.js";
import { t } from "../words.js";
import { coverageBar, coverageWords } from "./bar.js";
import { curveWords, drawCurve } from "./curve.js";
import { CURVE_HEIGHT } from "./levels.js";
import { badgeOf, reasonsOf } from "./verdicts.js";

// pixels; the first is what ComfyUI leaves free above and below a widget
const MARGIN = 20;
const HEIGHTS = { row: 28, bar: 14, curve: CURVE_HEIGHT };
const GAP = 4;

/** Height in pixels of a strip with its margins; 0 where there is nothing to show. */
export function stripHeight(given) {
  const rows = Object.entries(shown(given)).filter(([, isThere]) => isThere);
  const heights = rows.map(([part]) => HEIGHTS[part]);
  return heights.length && MARGIN + heights.reduce((sum, height) => sum + GAP + height);
}

function shown({ facts, parts }) {
  const has = (part, fact) => parts.includes(part) && fact !== undefined;
  return {
    row: has("badge", facts.verdict) || has("run", facts.run),
    bar: has("bar", facts.coverage),
    curve: has("curve", facts.curve),
  };
}

/** Draw anew what is wanted of the facts; what had the focus keeps it. */
export function drawStrip(strip, given, open) {
  const focused = strip.querySelector(":focus")?.dataset.part;
  const { row, bar, curve } = shown(given);
  const rows = [];
  if (row) rows.push(rowOf(given, open));
  // said in the row, where there is one
  const note = given.isOld && !row ? t("last run") : "";
  if (bar) rows.push(barOf(given.facts.coverage, note, open));
  if (curve) rows.push(curveOf(given.facts.curve, note, open));
  strip.className = "fewstep fewstep-looks";
  strip.classList.toggle("fewstep-old", given.isOld);
  strip.replaceChildren(...rows);
  strip.querySelector(`[data-part="${focused}"]`)?.focus();
}

function rowOf({ facts, parts, isOld }, open) {
  const row = element("div", { className: "fewstep-row" });
  if (parts.includes("badge") && facts.verdict !== undefined) row.append(badge(facts, open));
  if (parts.includes("run") && facts.run) {
    const words = runWords(facts.run);
    row.append(element("span", { className: "fewstep-run", textContent: words, title: words }));
  }
  if (isOld) {
    const title = t("The node has been changed since; run again to see what holds now.");
    const old = { className: "fewstep-old-words", textContent: t("last run"), title };
    row.append(element("span", old));
  }
  return row;
}

function badge(facts, open) {
  const { icon, word } = badgeOf(facts.verdict);
  const mark = element("span", { className: "fewstep-mark", textContent: icon });
  mark.setAttribute("aria-hidden", "true");
  const made = opener("badge", "fewstep-badge", open);
  made.append(mark, element("span", { textContent: word }));
  made.title = reasonsOf(facts).join("\n");
  made.dataset.verdict = facts.verdict;
  return made;
}

function barOf(coverage, note, open) {
  const words = [coverageWords(coverage), note].filter(Boolean).join(" · ");
  const told = element("span", { className: "fewstep-coverage-words", textContent: words });
  const made = opener("bar", "fewstep-coverage", open, words);
  made.append(coverageBar(coverage), told);
  return made;
}

function curveOf(curve, note, open) {
  const words = [curveWords(curve), note].filter(Boolean).join("; ");
  const made = opener("curve", "fewstep-curve", open, words);
  made.append(drawCurve(curve, note));
  made.title = words;
  return made;
}

function opener(part, className, open, label = null) {
  const made = button("", null, open, label);
  made.className = className;
  made.dataset.part = part;
  made.setAttribute("aria-haspopup", "dialog");
  return made;
}

function runWords({ passes, saved, seconds }) {
  const time = t("{seconds} s", { seconds: seconds.toFixed(seconds < 10 ? 2 : 1) });
  const count = passes === 1 ? t("1 pass") : t("{passes} passes", { passes });
  if (!saved) return `${count} · ${time}`;
  return `${t("{saved} of {passes} passes saved", { saved, passes })} · ${time}`;
}

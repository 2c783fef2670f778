// The strip on a node: a row with badge, passes and time, then the bar, then the curve.
import { t } from "../words.js";
import { coverageBar, coverageWords } from "./bar.js";
import { curveWords, drawCurve } from "./curve.js";
import { CURVE_HEIGHT } from "./levels.js";
import { badgeOf, made, reasonsOf } from "./made.js";

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
export function drawStrip(element, given, open) {
  const focused = element.querySelector(":focus")?.dataset.part;
  const { row, bar, curve } = shown(given);
  const rows = [];
  if (row) rows.push(rowOf(given, open));
  // said in the row, where there is one
  const note = given.isOld && !row ? t("last run") : "";
  if (bar) rows.push(barOf(given.facts.coverage, note, open));
  if (curve) rows.push(curveOf(given.facts.curve, note, open));
  element.className = "fewstep-looks";
  element.classList.toggle("fewstep-old", given.isOld);
  element.replaceChildren(...rows);
  element.querySelector(`[data-part="${focused}"]`)?.focus();
}

function rowOf({ facts, parts, isOld }, open) {
  const row = made("div", "fewstep-row");
  if (parts.includes("badge") && facts.verdict !== undefined) row.append(badge(facts, open));
  if (parts.includes("run") && facts.run) {
    const run = made("span", "fewstep-run", runWords(facts.run));
    run.title = run.textContent;
    row.append(run);
  }
  if (isOld) {
    const old = made("span", "fewstep-old-words", t("last run"));
    old.title = t("The node has been changed since; run again to see what holds now.");
    row.append(old);
  }
  return row;
}

function badge(facts, open) {
  const { icon, word } = badgeOf(facts.verdict);
  const button = opener("badge", "fewstep-badge", open);
  button.dataset.verdict = facts.verdict;
  const mark = made("span", "fewstep-mark", icon);
  mark.setAttribute("aria-hidden", "true");
  button.append(mark, made("span", "", word));
  button.title = reasonsOf(facts).join("\n");
  return button;
}

function barOf(coverage, note, open) {
  const button = opener("bar", "fewstep-coverage", open);
  const words = [coverageWords(coverage), note].filter(Boolean).join(" · ");
  button.append(coverageBar(coverage), made("span", "fewstep-coverage-words", words));
  button.setAttribute("aria-label", words);
  return button;
}

function curveOf(curve, note, open) {
  const button = opener("curve", "fewstep-curve", open);
  button.append(drawCurve(curve, note));
  button.title = [curveWords(curve), note].filter(Boolean).join("; ");
  button.setAttribute("aria-label", button.title);
  return button;
}

function opener(part, name, open) {
  const button = made("button", name);
  button.type = "button";
  button.dataset.part = part;
  button.setAttribute("aria-haspopup", "dialog");
  button.onclick = open;
  return button;
}

function runWords({ passes, saved, seconds }) {
  const time = t("{seconds} s", { seconds: seconds.toFixed(seconds < 10 ? 2 : 1) });
  const count = passes === 1 ? t("1 pass") : t("{passes} passes", { passes });
  if (!saved) return `${count} · ${time}`;
  return `${t("{saved} of {passes} passes saved", { saved, passes })} · ${time}`;
}

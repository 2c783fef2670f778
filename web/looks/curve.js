// The noise levels of a run as a falling curve over the levels that the model was trained at.
import { t } from "../words.js";
import { CURVE_HEIGHT, isTrained, layout, short, SIDE, TOP } from "./levels.js";

// pixels of the foot of all lines
const FOOT = 56;
// more markers or lines would hide one another
const FEW = 24;
const MANY = 100;

/** What the curve shows, for those who do not see it. */
export function curveWords({ sigmas, grid }) {
  const steps = sigmas.length - 1;
  const [first, last] = [short(sigmas[0]), short(sigmas.at(-1))];
  const words = [t("{steps} steps, noise levels {first} to {last}", { steps, first, last })];
  if (grid) {
    const trained = sigmas.slice(0, -1).filter((level) => isTrained(level, grid)).length;
    words.push(t("{trained} of {steps} at levels the model was trained at", { trained, steps }));
  }
  return words.join("; ");
}

/** The curve as SVG; note is a word more beside it. */
export function drawCurve(curve, note = "") {
  const svg = element("svg", { class: "fewstep-svg", height: CURVE_HEIGHT, "aria-hidden": "true" });
  const { points, lines } = layout(curve);
  const isSparse = points.length <= FEW;
  if (lines.length <= MANY) svg.append(...lines.map((x) => upright("fewstep-grid", x, TOP)));
  if (isSparse) svg.append(...points.map(({ x, y }) => upright("fewstep-hit", x, y)));
  for (let i = 1; i < points.length; i++) svg.append(piece(points[i - 1], points[i]));
  if (isSparse) svg.append(...points.map(marker));
  const steps = curve.sigmas.length - 1;
  const last = curve.sigmas.filter((level) => level > 0).at(-1) ?? 0;
  const words = [
    steps === 1 ? t("1 step") : t("{steps} steps", { steps }),
    `σ ${short(curve.sigmas[0])} – ${short(last)}`,
    note,
  ];
  svg.append(...words.map((text, row) => label(16 + 14 * row, text)));
  return svg;
}

function marker({ x, y, isTrained }) {
  const name = isTrained === false ? "fewstep-off" : "fewstep-on";
  return element("circle", { class: name, cx: `${x}%`, cy: y, r: 3.5 });
}

function label(y, text) {
  const made = element("text", { class: "fewstep-label", x: `${100 - SIDE}%`, y, "text-anchor": "end" });
  made.textContent = text;
  return made;
}

function upright(name, x, y) {
  return element("line", { class: name, x1: `${x}%`, y1: y, x2: `${x}%`, y2: FOOT });
}

function piece(from, to) {
  const [x1, x2] = [`${from.x}%`, `${to.x}%`];
  return element("line", { class: "fewstep-line", x1, y1: from.y, x2, y2: to.y });
}

function element(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

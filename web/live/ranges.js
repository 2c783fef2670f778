// From where to where a slider goes, and in which steps, for a number of a node's schema.

// more steps than that are not hit on a slider
const MOST_STEPS = 250;
// beyond it, JavaScript leaves whole numbers out
const LARGEST = Number.MAX_SAFE_INTEGER;
// seeds to either side of the one there is
const SEEDS = 50;
// new seeds are below it
const NEW_SEEDS = 2 ** 32;

/** The step of a widget's options; in older ones it stands ten times as large. */
export function stepOf({ step2, step, precision }) {
  return step2 || step / 10 || (precision === 0 ? 1 : 0.01);
}

/** The range of a slider, [from, to]: all of the schema's, or what is near the value. */
export function rangeOf(value, options, isSeed = false) {
  const [min, max] = limits(options);
  const step = stepOf(options);
  if ((max - min) / step <= MOST_STEPS) return [min, max];
  if (isSeed) return [Math.max(min, value - SEEDS), Math.min(max, value + SEEDS)];
  const far = Math.max(2 * Math.abs(value), Math.abs(value) + 10 * step);
  const range = value < 0 ? [Math.max(min, -far), Math.min(max, 0)] : [Math.max(min, 0), Math.min(max, far)];
  return range.map((end) => snapped(end, options));
}

/** The nearest value that the schema allows. */
export function snapped(value, options) {
  const [min, max] = limits(options);
  const step = stepOf(options);
  const shift = min % step;
  const steps = Math.round((value - shift) / step) * step + shift;
  return Math.min(max, Math.max(min, Number(steps.toFixed(decimals(step)))));
}

/** Any seed that the schema allows. */
export function newSeed(options) {
  const [min, max] = limits(options);
  return snapped(min + Math.random() * Math.min(max - min, NEW_SEEDS), options);
}

function limits({ min = -LARGEST, max = LARGEST }) {
  return [Math.max(min, -LARGEST), Math.min(max, LARGEST)];
}

function decimals(step) {
  return Math.min(10, (String(step).split(/\.|e-/)[1] ?? "").length);
}

// Where the noise levels of a run lie over the levels that its model was trained at.

/** Pixels. */
export const CURVE_HEIGHT = 60;
// relative; levels that are as near are the same, as in the pack's check
const SLACK = 1e-4;
// pixels of the first step and of the last
export const TOP = 8;
const BOTTOM = 50;
// percent of the width: free on either side, and between the lowest level and 0, which a logarithm
// has no place for
export const SIDE = 3;
const ZERO = 8;

/** Whether a level is one of those that the model was trained at; null where these are not known. */
export function isTrained(level, grid) {
  if (!grid) return null;
  return level === 0 || grid.some((one) => Math.abs(level - one) <= SLACK * one);
}

/** A noise level in three digits. */
export function short(level) {
  return String(Number(level.toPrecision(3)));
}

/**
 * Where levels lie from left, noise, to right, clean, and steps from top to bottom:
 * { points: [{ x percent, y pixels, isTrained }], lines: [x percent] }.
 */
export function layout({ axis, sigmas, grid }) {
  const positive = [...sigmas, ...(grid ?? [])].filter((level) => level > 0);
  const place = (axis === "log" ? placeByLog : placeByLevel)(positive);
  const steps = Math.max(sigmas.length - 1, 1);
  const points = sigmas.map((level, i) => ({
    x: place(level),
    y: TOP + ((BOTTOM - TOP) * i) / steps,
    isTrained: isTrained(level, grid),
  }));
  return { points, lines: (grid ?? []).filter((level) => level > 0).map(place) };
}

function placeByLevel(levels) {
  const high = Math.max(...levels);
  return (level) => SIDE + (100 - 2 * SIDE) * (1 - level / high);
}

function placeByLog(levels) {
  const [high, low] = [Math.max(...levels), Math.min(...levels)];
  const span = Math.log(high / low) || 1;
  const width = 100 - 2 * SIDE - ZERO;
  return (level) => (level > 0 ? SIDE + (width * Math.log(high / level)) / span : 100 - SIDE);
}

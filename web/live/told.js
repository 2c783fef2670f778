// What stands beside Live's buttons: how long a run takes, how much it does, how often one is shown.
import { nodeOf } from "../node_of.js";
import { t } from "../words.js";

// pictures whose rate is told
const RECENT = 10;

let times = [];

export function forgetRate() {
  times = [];
}

/** Whether a node's progress is that of sampling, a step at a time. */
export function isSampler(id) {
  return nodeOf(id)?.outputs?.some(({ type }) => type === "LATENT") ?? false;
}

/**
 * In words, of a run that has just been shown; duration in milliseconds. Its steps, by node, are told
 * where nobody counts its passes: with samplers of ComfyUI's own alone.
 */
export function told({ passes, steps }, duration) {
  const words = [t("{milliseconds} ms", { milliseconds: Math.round(duration) })];
  if (passes === 1) words.push(t("1 pass"));
  else if (passes) words.push(t("{count} passes", { count: passes }));
  else words.push(...stepsOf(steps));
  const pictures = rate();
  if (pictures) words.push(t("{rate} pictures/s", { rate: pictures.toFixed(1) }));
  return words.join(" · ");
}

function stepsOf(steps) {
  const count = Object.values(steps).reduce((sum, ofNode) => sum + ofNode, 0);
  if (!count) return [];
  return [count === 1 ? t("1 step") : t("{count} steps", { count })];
}

function rate() {
  times = [...times, performance.now()].slice(-RECENT);
  const span = times.at(-1) - times[0];
  return span ? ((times.length - 1) * 1000) / span : 0;
}

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
 * where nobody counts its passes: a sampler of ComfyUI's own.
 */
export function told({ passes, steps }, duration) {
  const words = [t("{milliseconds} ms", { milliseconds: Math.round(duration) })];
  const count = passes || Object.values(steps).reduce((sum, ofNode) => sum + ofNode, 0);
  const one = passes ? t("1 pass") : t("1 step");
  const many = passes ? t("{count} passes", { count }) : t("{count} steps", { count });
  if (count) words.push(count === 1 ? one : many);
  const pictures = rate();
  if (pictures) words.push(t("{rate} pictures/s", { rate: pictures.toFixed(1) }));
  return words.join(" · ");
}

function rate() {
  times = [...times, performance.now()].slice(-RECENT);
  const span = times.at(-1) - times[0];
  return span ? ((times.length - 1) * 1000) / span : 0;
}

// Which node an id means, and what the facts of its run depended on.
import { app } from "/scripts/app.js";

// what comes through these changes a picture and no fact of a run
const PICTURE_ONLY = new Set(["CONDITIONING", "IMAGE", "MASK", "CLIP", "VAE"]);
const SEEDS = new Set(["seed", "noise_seed", "control_after_generate"]);

/** A node by the server's id, 12 or 5:12 inside of subgraphs, or the page's, subgraph's uuid:12. */
export function nodeOf(id) {
  const path = String(id).split(":");
  let graph = app.graph;
  if (graph.subgraphs?.has(path[0])) graph = graph.subgraphs.get(path.shift());
  const last = path.pop();
  for (const step of path) graph = graph?.getNodeById(step)?.subgraph;
  return graph?.getNodeById(last) ?? undefined;
}

/** Changes with every input of a node, and of the nodes that lead to it, that a fact depends on. */
export function stateOf(node) {
  return JSON.stringify(states(node, new Set()));
}

function states(node, seen) {
  if (!node || seen.has(node)) return node?.id;
  seen.add(node);
  const inputs = (node.inputs ?? []).map((input, slot) => [
    input.link ?? null,
    PICTURE_ONLY.has(input.type) ? null : states(node.getInputNode(slot), seen),
  ]);
  const inner = node.subgraph?.nodes.map((one) => states(one, seen));
  return [node.id, node.mode, values(node), inputs, inner];
}

function values(node) {
  return (node.widgets ?? [])
    .filter(({ name, serialize }) => serialize !== false && !SEEDS.has(name))
    .map(({ name, value }) => [name, value]);
}

// What the facts of a node's run depended on.

// what comes through these changes a picture and no fact of a run
const PICTURE_ONLY = new Set(["CONDITIONING", "IMAGE", "MASK", "CLIP", "VAE"]);
const SEEDS = new Set(["seed", "noise_seed", "control_after_generate"]);

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

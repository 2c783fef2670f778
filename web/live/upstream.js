// What leads to the live outputs of the open workflow, and whether it has changed.
import { app } from "/scripts/app.js";

export const LIVE_OUTPUT = "FewStepLiveOutput";

/** Changes whenever anything in the graph does that a run could depend on; cheap enough to ask often. */
export function quickState() {
  return JSON.stringify(statesOf(app.graph));
}

function statesOf(graph) {
  return (graph?.nodes ?? []).map((node) => [
    node.id,
    node.mode,
    node.inputs?.map((input) => input.link),
    node.widgets?.map((widget) => widget.value),
    node.subgraph ? statesOf(node.subgraph) : null,
  ]);
}

/**
 * What ComfyUI is asked for: { prompt, targets, state, isPlain }; targets is empty without a live
 * output. isPlain where no other pack's nodes lead there, which may have messages of their own.
 */
export async function whatLeadsToLive() {
  const prompt = await app.graphToPrompt();
  const targets = Object.keys(prompt.output).filter(
    (id) => prompt.output[id].class_type === LIVE_OUTPUT,
  );
  const found = upstream(prompt.output, targets);
  const isPlain = Object.values(found).every(([type]) => isPlainNode(type));
  return { prompt, targets, state: JSON.stringify(found), isPlain };
}

/** Whether a node is ComfyUI's or this pack's. */
function isPlainNode(type) {
  const [theirs, ours] = [type, LIVE_OUTPUT].map(packOf);
  return theirs === ours || !theirs?.startsWith("custom_nodes.");
}

function packOf(type) {
  return LiteGraph.registered_node_types[type]?.nodeData?.python_module;
}

function upstream(output, targets) {
  const found = {};
  const open = [...targets];
  while (open.length) {
    const id = open.pop();
    if (id in found || !(id in output)) continue;
    found[id] = [output[id].class_type, output[id].inputs];
    for (const value of Object.values(output[id].inputs)) {
      if (Array.isArray(value) && value.length === 2) open.push(String(value[0]));
    }
  }
  return found;
}

// Compare: a divider between the pictures of two batches.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { Viewer } from "./compare/viewer.js";
import { isWanted } from "./is_wanted.js";

const COMPARE = "FewStepCompare";
// pixels: what is comfortable for a new node, and the least for the pictures with their buttons
const SIZE = [420, 560];
const LEAST = 260;

const viewers = new Map(); // by the node they are on

function show(viewer, output) {
  const pairs = output?.fewstep_compare;
  if (!pairs?.length) return;
  const addresses = pairs.map(({ a, b }) => ({ a: address(a), b: address(b) }));
  viewer.show(addresses, output.fewstep_labels?.[0] ?? { a: "A", b: "B" });
}

function address({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/** Under which name ComfyUI keeps a node's outputs: inside a subgraph, with the subgraph's id. */
function place(node) {
  return node.graph?.isRootGraph === false ? `${node.graph.id}:${node.id}` : String(node.id);
}

app.registerExtension({
  name: "fewstep.Compare",
  nodeCreated(node) {
    if (node.comfyClass !== COMPARE || !isWanted("FewStep.Compare")) return;
    const viewer = new Viewer();
    viewers.set(node, viewer);
    const options = { serialize: false, getMinHeight: () => LEAST };
    const widget = node.addDOMWidget("compare", "fewstep_compare", viewer.element, options);
    // neither in what is run nor in the saved workflow
    widget.serialize = false;
    node.setSize(SIZE.map((least, side) => Math.max(least, node.size[side])));
    const { onExecuted, onRemoved } = node;
    node.onExecuted = function (output) {
      show(viewer, output);
      return onExecuted?.apply(this, arguments);
    };
    node.onRemoved = function () {
      viewers.delete(node);
      return onRemoved?.apply(this, arguments);
    };
  },
  // a workflow was opened again whose pictures are still known
  onNodeOutputsUpdated(outputs) {
    for (const [node, viewer] of viewers) show(viewer, outputs[place(node)]);
  },
});

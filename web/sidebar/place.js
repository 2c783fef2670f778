// Puts a planned graph into the open workflow, in the middle of the view, as one step to undo.
import { app } from "/scripts/app.js";
import { t } from "../words.js";
import { bringIntoView, viewOf } from "./view.js";

// pixels at scale 1
const WIDTH = 340;
const GAP = 40;
// below each node, of which the part for Nodes 2.0 to grow by
const BELOW = 60;
const TITLE = 30;
const MARGIN = 30;

/** What ComfyUI offers for a widget of a node; null where it has no such node. */
export function offers(type, widget) {
  const node = LiteGraph.registered_node_types[type] && LiteGraph.createNode(type);
  if (!node) return null;
  const found = node.widgets?.find(({ name }) => name === widget);
  const values = found?.options?.values;
  return typeof values === "function" ? values(found, node) : (values ?? []);
}

/** Place what `planFor` gave, where the panel does not cover it; returns the nodes. */
export function place(plan, panel) {
  const { canvas } = app;
  const { graph } = canvas;
  const columns = plan.columns.map((column) => column.map(made)).filter((column) => column.length);
  if (plan.notes.length) columns.unshift([note(plan.notes)]);
  const nodes = columns.flat().map(({ node }) => node);
  const bounds = moved(layOut(columns), viewOf(canvas, panel), canvas.graph.nodes);
  for (const node of nodes) node.pos = [node.pos[0] + bounds[0], node.pos[1] + bounds[1]];
  graph.beforeChange();
  canvas.emitBeforeChange();
  try {
    for (const node of nodes) graph.add(node);
    connect(columns.flat(), plan.links);
    graph.add(grouped(plan.title, bounds));
    canvas.selectItems(nodes);
  } finally {
    canvas.emitAfterChange();
    graph.afterChange();
  }
  bringIntoView(canvas, bounds, panel);
  canvas.setDirty(true, true);
  return nodes;
}

function made({ id, type, widgets }) {
  const node = LiteGraph.createNode(type);
  for (const [name, value] of Object.entries(widgets)) {
    const widget = node.widgets.find((one) => one.name === name);
    widget.value = value;
    widget.callback?.(value, app.canvas, node);
  }
  const [width, height] = node.computeSize();
  // what shows a picture grows when there is one
  const least = type === "PreviewImage" ? WIDTH : node.size[1];
  node.setSize([Math.max(width, WIDTH), Math.max(height, least)]);
  return { id, node };
}

function note(sentences) {
  const node = LiteGraph.createNode("Note");
  node.title = t("Read this");
  node.widgets[0].value = sentences.join("\n\n");
  node.setSize([WIDTH, 200]);
  return { id: "note", node };
}

/** Columns of nodes side by side, from [0, 0] on; returns the size of all. */
function layOut(columns) {
  let left = MARGIN;
  let lowest = 0;
  for (const column of columns) {
    let top = MARGIN + 2 * TITLE;
    for (const { node } of column) {
      node.pos = [left, top];
      top += node.size[1] + TITLE + BELOW;
    }
    left += Math.max(...column.map(({ node }) => node.size[0])) + GAP;
    lowest = Math.max(lowest, top - TITLE - BELOW / 2);
  }
  return [left - GAP + MARGIN, lowest + MARGIN];
}

/** [x, y, width, height] in the middle of the view, or below what is there. */
function moved([width, height], [x, y, wide, high], nodes) {
  const bounds = [x + (wide - width) / 2, y + (high - height) / 2, width, height];
  const others = nodes.map((node) => [...node.pos, ...node.size]);
  for (;;) {
    const met = others.filter((other) => overlaps(bounds, other));
    if (!met.length) return bounds;
    bounds[1] = Math.max(...met.map((other) => other[1] + other[3])) + 2 * GAP;
  }
}

function overlaps(a, b) {
  // the title of a node lies above its place
  return (
    a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] + GAP && b[1] - TITLE < a[1] + a[3]
  );
}

function connect(placed, links) {
  const byId = Object.fromEntries(placed.map(({ id, node }) => [id, node]));
  for (const [from, output, to, input] of links)
    byId[from].connect(output, byId[to], byId[to].findInputSlot(input));
}

function grouped(title, [x, y, width, height]) {
  const group = new LiteGraph.LGraphGroup(title);
  group.pos = [x, y];
  group.size = [width, height];
  return group;
}

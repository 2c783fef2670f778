// The numbers that lead to a node, of all nodes upstream of it.
import { app } from "/scripts/app.js";

/** [{ node, widget }], the nearest first; numbers that come through a link are none of its own. */
export function numbersBefore(node) {
  const found = new Set();
  const open = [node];
  for (const next of open) {
    for (const slot of (next.inputs ?? []).keys()) {
      const source = next.getInputNode(slot);
      if (source && !found.has(source)) {
        found.add(source);
        open.push(source);
      }
    }
  }
  return [...found].flatMap((source) =>
    (source.widgets ?? [])
      .filter((widget) => isNumber(source, widget))
      .map((widget) => ({ node: source, widget })),
  );
}

function isNumber(node, widget) {
  const slot = node.inputs?.find((input) => input.widget?.name === widget.name);
  return typeof widget.value === "number" && !widget.hidden && (slot?.link ?? null) === null;
}

/** What a number is called: its own name and its node's title. */
export function nameOf(number) {
  return wordsOf(number).join(" · ");
}

export function wordsOf({ node, widget }) {
  return [widget.label || widget.name, node.title];
}

/** Whether it is a seed, which has no more and less. */
export function isSeed({ widget }) {
  const controls = widget.linkedWidgets?.map((linked) => linked.name) ?? [];
  return controls.includes("control_after_generate") || /seed/i.test(widget.name);
}

/** Set it as if it had been typed into the node. */
export function setNumber({ node, widget }, value) {
  const { canvas } = app;
  if (widget.setValue) widget.setValue(value, { node, canvas });
  else {
    widget.value = value;
    widget.callback?.(value, canvas, node);
  }
  node.graph?.setDirtyCanvas(true);
}

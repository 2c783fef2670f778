// The part of the workflow that is seen beside the sidebar, in the workflow's own coordinates.

// pixels of the page: ComfyUI's buttons lie over the upper edge of the canvas
const BUTTONS = 70;
const EDGE = 20;

/** [x, y, width, height] that neither the panel nor ComfyUI's buttons cover. */
export function viewOf(canvas, panel) {
  const { left, top, right, bottom } = freeOf(canvas, panel);
  const { scale, offset } = canvas.ds;
  const place = canvas.canvas.getBoundingClientRect();
  return [
    (left - place.left) / scale - offset[0],
    (top - place.top) / scale - offset[1],
    (right - left) / scale,
    (bottom - top) / scale,
  ];
}

/** Move the view, and draw smaller where it has to be, until bounds lie in it. */
export function bringIntoView(canvas, bounds, panel) {
  const [x, y, width, height] = bounds;
  const seen = viewOf(canvas, panel);
  const isSeen =
    x >= seen[0] && y >= seen[1] && x + width <= seen[0] + seen[2] && y + height <= seen[1] + seen[3];
  if (isSeen) return;
  canvas.ds.scale *= Math.min(1, seen[2] / width, seen[3] / height);
  const [left, top, wide, high] = viewOf(canvas, panel);
  const { offset } = canvas.ds;
  offset[0] += left + wide / 2 - (x + width / 2);
  offset[1] += top + high / 2 - (y + height / 2);
}

function freeOf(canvas, panel) {
  const place = canvas.canvas.getBoundingClientRect();
  const covered = panel.getBoundingClientRect();
  const isLeft = covered.left - place.left < place.right - covered.right;
  return {
    left: (isLeft ? Math.max(place.left, covered.right) : place.left) + EDGE,
    right: (isLeft ? place.right : Math.min(place.right, covered.left)) - EDGE,
    top: place.top + BUTTONS,
    bottom: place.bottom - EDGE,
  };
}

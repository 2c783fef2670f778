// Zoom and pan that several pictures share, by wheel, drag, pinch, double click and keys.

const MOST = 16;
const WHEEL = 0.0015; // of a zoom's logarithm, by pixel of the wheel
const STEP = 1.5;

/** Let the pictures of frames of one size move together. Returns what keys can do. */
export function zoomTogether(frames) {
  // where the picture's corner is, in frames, and how much larger it is
  const place = { x: 0, y: 0, scale: 1 };
  const pointers = new Map();

  function show() {
    for (const frame of frames) {
      const { clientWidth, clientHeight } = frame;
      const move = `translate(${place.x * clientWidth}px, ${place.y * clientHeight}px)`;
      frame.style.setProperty("--place", `${move} scale(${place.scale})`);
      frame.classList.toggle("is-zoomed", place.scale > 1);
    }
  }

  function moveTo(x, y) {
    const least = 1 - place.scale;
    place.x = Math.min(0, Math.max(least, x));
    place.y = Math.min(0, Math.max(least, y));
    show();
  }

  // the point [x, y] of the frame stays where it is
  function zoom(factor, [x, y] = [0.5, 0.5]) {
    const scale = Math.min(MOST, Math.max(1, place.scale * factor));
    const grown = scale / place.scale;
    place.scale = scale;
    moveTo(x - (x - place.x) * grown, y - (y - place.y) * grown);
  }

  function within(frame, event) {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  // the middle of all fingers and how far apart two of them are
  function grip() {
    const points = [...pointers.values()];
    const middle = [0, 1].map((k) => points.reduce((sum, one) => sum + one[k], 0) / points.length);
    const [first, second] = points;
    return [middle, second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 1];
  }

  function drag(frame, event) {
    if (!pointers.has(event.pointerId)) return;
    const [[x, y], apart] = grip();
    pointers.set(event.pointerId, within(frame, event));
    const [[newX, newY], newApart] = grip();
    moveTo(place.x + newX - x, place.y + newY - y);
    if (newApart !== apart) zoom(newApart / apart, [newX, newY]);
  }

  for (const frame of frames) {
    const on = (name, act, options) => frame.addEventListener(name, act, options);
    const leave = (event) => pointers.delete(event.pointerId);
    on("wheel", (event) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * WHEEL), within(frame, event));
    }, { passive: false });
    on("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, within(frame, event));
    });
    on("pointermove", (event) => drag(frame, event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) on(name, leave);
    on("dblclick", (event) => zoom(place.scale > 1 ? 0 : STEP ** 3, within(frame, event)));
  }
  return {
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    0: () => zoom(0),
  };
}

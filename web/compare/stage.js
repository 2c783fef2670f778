// Two pictures over each other, with a divider between them.
import { element } from "../elements.js";
import { t } from "../words.js";

// the keyboard's steps: percent of the width, and pixels of a picture that is moved
const STEP = { fine: 1, coarse: 10, move: 40 };
// pixels that a hand may shake in a click
const SHAKE = 4;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage {
  #share = 50; // percent of the width that is left of the divider
  #isHeld = false; // or the divider follows the pointer
  #isDifference = false;
  #isPixels = false;
  #moved = [0, 0]; // of the pictures from the middle, pixels
  #press = null; // of the pointer, where it went down
  #labels = { a: "", b: "" };

  constructor() {
    this.element = part("div", "stage");
    this.slider = part("div", "divider");
    this.slider.tabIndex = 0;
    const told = { role: "slider", "aria-label": t("Divider"), "aria-valuemin": 0 };
    Object.entries({ ...told, "aria-valuemax": 100 }).forEach((one) =>
      this.slider.setAttribute(...one),
    );
    this.images = { a: element("img"), b: element("img") };
    this.names = { a: part("span", "label"), b: part("span", "label") };
    this.sum = part("span", "label");
    this.lost = part("p", "lost");
    this.lost.textContent = t("These pictures are no longer there. Run the workflow again.");
    const both = part("div", "both");
    for (const side of ["a", "b"]) {
      const layer = part("div", `layer fewstep-compare-${side}`);
      layer.append(this.images[side], this.names[side]);
      both.append(layer);
      this.images[side].draggable = false;
      this.images[side].onload = () => this.#layOut();
      this.images[side].onerror = () => this.element.classList.add("is-lost");
    }
    this.element.append(both, this.sum, this.slider, this.lost);
    this.#listen();
    new ResizeObserver(() => this.#layOut()).observe(this.element);
    this.#update();
  }

  /** Show a pair of addresses. */
  show(pair, labels) {
    this.#labels = labels;
    this.element.classList.remove("is-lost");
    for (const side of ["a", "b"]) {
      this.images[side].src = pair[side];
      this.images[side].alt = this.names[side].textContent = labels[side];
    }
    this.sum.textContent = `|${labels.a} − ${labels.b}| × 4`;
    this.#update();
  }

  /** Show |a - b|, four times as strong, instead of the two. */
  showDifference(isOn) {
    this.#isDifference = isOn;
    this.#update();
  }

  /** Show a pixel of the finer picture as one of the screen, or the whole pictures. */
  showPixels(isOn) {
    this.#isPixels = isOn;
    this.#moved = [0, 0];
    this.#layOut();
  }

  #update() {
    this.element.classList.toggle("is-difference", this.#isDifference);
    this.element.classList.toggle("is-held", this.#isHeld);
    this.element.classList.toggle("is-pixels", this.#isPixels);
    this.element.style.setProperty("--share", `${this.#share}%`);
    const share = Math.round(this.#share);
    this.slider.setAttribute("aria-valuenow", share);
    this.slider.setAttribute(
      "aria-valuetext",
      t("{share} % {label}", { share, label: this.#labels.a }),
    );
  }

  /** Give both pictures the frame of a, in which b is shown whole. */
  #layOut() {
    const { clientWidth: width, clientHeight: height, style } = this.element;
    const { naturalWidth: across, naturalHeight: down } = this.images.a;
    if (!across || !width) return;
    const { naturalWidth, naturalHeight } = this.images.b;
    const finer = Math.max(1, naturalWidth / across, naturalHeight / down);
    const scale = this.#isPixels ? finer / this.#seen() : Math.min(width / across, height / down);
    const frame = [across * scale, down * scale];
    this.#moved = this.#moved.map((by, k) => {
      const room = Math.max(0, (frame[k] - [width, height][k]) / 2);
      return Math.max(-room, Math.min(room, by));
    });
    const [x, y] = this.#moved;
    const found = { width: frame[0], height: frame[1], x, y };
    for (const [name, value] of Object.entries(found)) style.setProperty(`--${name}`, `${value}px`);
    this.#update();
  }

  /** How much larger than it is the canvas shows the node. */
  #seen() {
    return this.element.getBoundingClientRect().width / this.element.offsetWidth;
  }

  #listen() {
    const listeners = {
      pointerdown: (event) => this.#down(event),
      pointermove: (event) => this.#move(event),
      pointerup: (event) => this.#up(event),
      pointercancel: () => (this.#press = null),
      keydown: (event) => this.#key(event),
    };
    for (const [name, listener] of Object.entries(listeners))
      this.element.addEventListener(name, listener);
  }

  #down(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.slider.focus({ preventScroll: true });
    const { clientX: x, clientY: y } = event;
    this.#press = { x, y, moved: this.#moved, isDrag: false };
    // or the browser would select text
    event.preventDefault();
  }

  #move(event) {
    const press = this.#press;
    if (!press) {
      if (!this.#isHeld) this.#divideAt(event);
      return;
    }
    const by = [event.clientX - press.x, event.clientY - press.y];
    press.isDrag ||= Math.hypot(...by) > SHAKE;
    if (!press.isDrag) return;
    if (this.#isPixels) {
      this.#moved = press.moved.map((from, k) => from + by[k] / this.#seen());
      this.#layOut();
    } else {
      this.#isHeld = true;
      this.#divideAt(event);
    }
  }

  #up(event) {
    const press = this.#press;
    this.#press = null;
    if (!press || press.isDrag) return;
    // a finger does not hover, so it has nothing to let go of
    this.#isHeld = event.pointerType === "touch" || !this.#isHeld;
    this.#divideAt(event);
  }

  #divideAt({ clientX }) {
    const { left, width } = this.element.getBoundingClientRect();
    this.#divide((100 * (clientX - left)) / width);
  }

  #divide(share) {
    this.#share = Math.max(0, Math.min(100, share));
    this.#update();
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey && this.#isPixels) {
      this.#moved = this.#moved.map((from, k) => from - STEP.move * arrow[k]);
      this.#layOut();
    } else if (arrow || event.key === "Home" || event.key === "End") {
      this.#isHeld = true;
      const step = event.shiftKey ? STEP.coarse : STEP.fine;
      const ends = { Home: 0, End: 100 };
      // up is more, as with every slider
      this.#divide(ends[event.key] ?? this.#share + step * (arrow[0] - arrow[1]));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function part(tag, name) {
  return element(tag, { className: `fewstep-compare-${name}` });
}

// What a Compare node shows: a pair of pictures, and buttons that lead through the batch.
import { button, element } from "../elements.js";
import { useStylesheet } from "../stylesheet.js";
import { t } from "../words.js";
import { Overview } from "./overview.js";
import { Stage } from "./stage.js";

export class Viewer {
  #pairs = []; // addresses { a, b }
  #labels = { a: "A", b: "B" };
  #number = 0;
  #stage = new Stage();
  #overview = new Overview((number) => this.#open(number));
  #hint = element("p", { textContent: t("Run the workflow to compare its pictures.") });
  #counter = element("span", { className: "fewstep-compare-counter" });
  #previous = button("‹", t("Previous pair (Page Up)"), () => this.#step(-1));
  #next = button("›", t("Next pair (Page Down)"), () => this.#step(1));
  #all = button(t("All"), t("Show all pairs"), () => this.#toggleAll());
  #difference = button(t("Difference"), t("Show where they differ, 4 times as strong"), () =>
    this.#toggle(this.#difference, (isOn) => this.#stage.showDifference(isOn)),
  );
  #zoom = button("1:1", t("Show every pixel; drag to move the pictures"), () =>
    this.#toggle(this.#zoom, (isOn) => this.#stage.showPixels(isOn)),
  );

  constructor() {
    useStylesheet("compare/style.css");
    this.#counter.setAttribute("role", "status");
    const controls = [this.#previous, this.#counter, this.#next, this.#all, this.#difference, this.#zoom];
    const bar = element("div", { className: "fewstep-compare-bar" }, controls);
    // an arrow is no name
    for (const arrow of [this.#previous, this.#next]) arrow.setAttribute("aria-label", arrow.title);
    for (const toggle of [this.#all, this.#difference, this.#zoom]) press(toggle, false);
    const parts = [this.#hint, this.#stage.element, this.#overview.element, bar];
    this.element = element("div", { className: "fewstep fewstep-compare" }, parts);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    keepFromCanvas(this.element);
    this.#update();
  }

  /** Show pairs of addresses, at the pair that was looked at before where there is one. */
  show(pairs, labels) {
    this.#pairs = pairs;
    this.#labels = labels;
    this.#overview.fill(pairs);
    this.#open(Math.min(this.#number, pairs.length - 1));
  }

  #open(number) {
    this.#number = number;
    press(this.#all, false);
    this.#stage.show(this.#pairs[number], this.#labels);
    this.#update();
  }

  #step(by) {
    const count = this.#pairs.length;
    if (count) this.#open((this.#number + by + count) % count);
  }

  #toggle(toggle, act) {
    const isOn = !isPressed(toggle);
    press(toggle, isOn);
    press(this.#all, false);
    act(isOn);
    this.#update();
  }

  #toggleAll() {
    press(this.#all, !isPressed(this.#all));
    this.#update();
    if (isPressed(this.#all)) this.#overview.focus(this.#number);
  }

  #update() {
    const count = this.#pairs.length;
    const isAll = isPressed(this.#all);
    this.#hint.hidden = count > 0;
    this.#stage.element.hidden = !count || isAll;
    this.#overview.element.hidden = !isAll;
    for (const one of [this.#previous, this.#counter, this.#next, this.#all]) one.hidden = count < 2;
    for (const one of [this.#difference, this.#zoom]) one.disabled = !count;
    this.#counter.textContent = t("{number} of {count}", { number: this.#number + 1, count });
  }

  #key(event) {
    const act = {
      PageUp: () => this.#step(-1),
      PageDown: () => this.#step(1),
      Escape: isPressed(this.#all) && (() => this.#toggleAll()),
    }[event.key];
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Neither the wheel nor a press inside moves the canvas or the node. */
function keepFromCanvas(whole) {
  // Nodes 2.0 hears the wheel first, and leaves it to what says so and has the focus inside
  whole.dataset.captureWheel = "true";
  whole.addEventListener("pointerdown", (event) => {
    if (event.button === 0) event.stopPropagation();
  });
  const wheel = (event) => {
    event.stopPropagation();
    // the list of all pairs scrolls; else the page itself would
    if (event.ctrlKey || !event.target.closest(".fewstep-compare-all")) event.preventDefault();
  };
  whole.addEventListener("wheel", wheel, { passive: false });
}

function press(toggle, isOn) {
  toggle.setAttribute("aria-pressed", String(isOn));
}

function isPressed(toggle) {
  return toggle.getAttribute("aria-pressed") === "true";
}

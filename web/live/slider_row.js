// One slider: the number's name and value, and from where to where it goes.
import { button, element } from "../elements.js";
import { t } from "../words.js";
import { isSeed, nameOf, setNumber, wordsOf } from "./numbers.js";
import { newSeed, rangeOf, snapped, stepOf } from "./ranges.js";

// milliseconds: a page draws the whole workflow with every number that is set
const DRAWN = 100;

/** A row of elements in whole; number is { node, widget }, undefined where it no longer leads here. */
export class SliderRow {
  constructor(number, kept, { onRange, onRemove, onResize }) {
    Object.assign(this, { number, onRange, onResize });
    const name = number ? nameOf(number) : t("{name} no longer leads here", { name: kept.widget });
    const [own, of] = number ? wordsOf(number) : [name, ""];
    const words = [own, element("small", { textContent: of })];
    const told = element("span", { className: "fewstep-sliders-name", title: name }, words);
    const removing = t("Remove the slider of {name}", { name });
    const remove = button("×", removing, onRemove, removing);
    const middle = number ? this.#makeSlider(name, kept) : [];
    const parts = [told, ...middle, remove];
    this.whole = element("div", {}, [element("div", { className: "fewstep-sliders-row" }, parts)]);
    if (number) this.whole.append(this.range);
  }

  /** How many lines high it is. */
  get lines() {
    return this.range && !this.range.hidden ? 2 : 1;
  }

  /** Show the number as it is now. */
  refresh() {
    // while it is moved, the number is behind the slider
    if (!this.number || this.timer) return;
    const { value, options } = this.number.widget;
    // a value beyond the range, which was set on the node, is shown where it is
    const min = String(Math.min(this.from, value));
    const max = String(Math.max(this.to, value));
    const { slider } = this;
    if (slider.min !== min || slider.max !== max)
      Object.assign(slider, { min, max, step: stepOf(options) });
    if (Number(slider.value) !== value) slider.value = value;
    this.shown.textContent = String(value);
  }

  #makeSlider(name, kept) {
    const { value, options } = this.number.widget;
    [this.from, this.to] = kept.range ?? rangeOf(value, options, isSeed(this.number));
    this.slider = element("input", { type: "range" });
    this.slider.setAttribute("aria-label", name);
    this.slider.oninput = () => this.#follow();
    this.shown = element("output");
    this.range = this.#makeRange(options);
    const ranging = t("Range of {name}", { name });
    this.more = button("…", ranging, () => this.#toggleRange(), ranging);
    this.more.setAttribute("aria-expanded", "false");
    return [this.slider, this.shown, ...(isSeed(this.number) ? [this.#seedButton()] : []), this.more];
  }

  /** Two fields, hidden at first. */
  #makeRange(options) {
    const [low, high] = [this.from, this.to].map((value) =>
      element("input", { type: "number", step: stepOf(options), value }),
    );
    const labels = [
      element("label", {}, [t("From"), low]),
      element("label", {}, [t("To"), high]),
    ];
    const onchange = () => {
      const set = [low, high].map((field) => snapped(Number(field.value), options));
      this.onRange(set.sort((a, b) => a - b));
    };
    return element("div", { className: "fewstep-sliders-range", hidden: true, onchange }, labels);
  }

  #toggleRange() {
    this.range.hidden = !this.range.hidden;
    this.more.setAttribute("aria-expanded", String(!this.range.hidden));
    this.onResize();
  }

  #seedButton() {
    return button(t("New seed"), t("Draw another seed"), () => {
      this.#set(newSeed(this.number.widget.options));
      // the seeds about this one
      this.onRange(undefined);
    });
  }

  /** Set the number that the slider stands at, at once but not too often. */
  #follow() {
    this.shown.textContent = String(this.#chosen);
    if (!this.timer) this.#setAndRest();
  }

  #setAndRest() {
    this.#set(this.#chosen);
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.number.widget.value !== this.#chosen) this.#setAndRest();
    }, DRAWN);
  }

  get #chosen() {
    return snapped(Number(this.slider.value), this.number.widget.options);
  }

  #set(value) {
    setNumber(this.number, value);
    this.refresh();
  }
}

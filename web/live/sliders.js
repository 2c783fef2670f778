// Sliders on a live output that drive numbers of the nodes that lead to it.
import { button, element } from "../elements.js";
import { t } from "../words.js";
import { nameOf, numbersBefore } from "./numbers.js";
import { SliderRow } from "./slider_row.js";

// what is remembered of them with the workflow: [{ node: id, widget: name, range: [from, to] or nothing }]
const REMEMBERED = "fewstep_sliders";
// milliseconds between looks at the nodes, for what has been set there
const LOOK = 250;
// pixels of a line, with the gap to the next
const HIGH = 30;

/** The sliders of one node, in the element whole; resized() is called when there is more or less of them. */
export class Sliders {
  #drawn = null; // what the rows were made of
  #rows = [];

  constructor(node, resized) {
    Object.assign(this, { node, resized });
    this.list = element("div", { className: "fewstep-sliders" });
    this.choice = element("select");
    this.choice.setAttribute("aria-label", t("A number that leads here"));
    this.add = button(t("Add slider"), t("Drive this number with a slider"), () => this.#addChosen());
    const adding = element("div", { className: "fewstep-sliders-add" }, [this.choice, this.add]);
    this.whole = element("div", { className: "fewstep-sliders" }, [this.list, adding]);
    // a node is not dragged by its sliders
    for (const name of ["pointerdown", "wheel"])
      this.whole.addEventListener(name, (event) => event.stopPropagation());
    this.timer = setInterval(() => this.whole.isConnected && this.refresh(), LOOK);
  }

  get height() {
    return HIGH * this.#rows.reduce((lines, row) => lines + row.lines, 1);
  }

  /** Show what there is now; cheap where nothing has changed. */
  refresh() {
    // one that is being copied is in no graph yet
    if (!this.node.graph) return;
    const numbers = numbersBefore(this.node);
    const known = JSON.stringify([this.#remembered, numbers.map((one) => [keyOf(one), nameOf(one)])]);
    if (known !== this.#drawn) this.#draw(numbers);
    this.#drawn = known;
    for (const row of this.#rows) row.refresh();
  }

  end() {
    clearInterval(this.timer);
  }

  get #remembered() {
    return this.node.properties[REMEMBERED] ?? [];
  }

  #remember(sliders) {
    this.node.properties[REMEMBERED] = sliders;
    this.#drawn = null;
    this.refresh();
    this.resized();
  }

  #addChosen() {
    const chosen = numbersBefore(this.node).find((one) => keyOf(one) === this.choice.value);
    if (!chosen) return;
    const { node, widget } = chosen;
    this.#remember([...this.#remembered, { node: node.id, widget: widget.name }]);
  }

  #change(kept, changed) {
    this.#remember(this.#remembered.flatMap((one) => (one === kept ? changed : [one])));
  }

  #draw(numbers) {
    this.#rows = this.#remembered.map((kept) => {
      const number = numbers.find((one) => keyOf(one) === keyOfKept(kept));
      return new SliderRow(number, kept, {
        onRange: (range) => this.#change(kept, [{ ...kept, range }]),
        onRemove: () => this.#change(kept, []),
        onResize: this.resized,
      });
    });
    this.list.replaceChildren(...this.#rows.map((row) => row.whole));
    const driven = new Set(this.#remembered.map(keyOfKept));
    const free = numbers.filter((one) => !driven.has(keyOf(one)));
    this.choice.replaceChildren(...free.map((one) => new Option(nameOf(one), keyOf(one))));
    this.choice.disabled = this.add.disabled = !free.length;
  }
}

function keyOf({ node, widget }) {
  return JSON.stringify([String(node.id), widget.name]);
}

function keyOfKept({ node, widget }) {
  return JSON.stringify([String(node), widget]);
}

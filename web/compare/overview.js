// All pairs of a batch, small, to choose one.
import { button, element } from "../elements.js";
import { t } from "../words.js";

export class Overview {
  #choose;

  /** choose(number) is called with the pair that was clicked, from 0. */
  constructor(choose) {
    this.#choose = choose;
    this.element = element("div", { className: "fewstep-compare-all" });
  }

  /** Take pairs of addresses in the place of those before. */
  fill(pairs) {
    this.element.replaceChildren(...pairs.map((pair, number) => this.#thumbnail(pair, number)));
  }

  /** Mark a pair as the one that was looked at, for eyes and for the keyboard. */
  focus(number) {
    for (const [other, one] of [...this.element.children].entries())
      one.setAttribute("aria-current", String(other === number));
    this.element.children[number]?.focus();
  }

  #thumbnail(pair, number) {
    const label = t("Pair {number}", { number: number + 1 });
    const thumbnail = button("", null, () => this.#choose(number), label);
    for (const side of ["a", "b"]) {
      // lazy has to stand before the address
      const image = { loading: "lazy", alt: "", className: side, src: pair[side] };
      thumbnail.append(element("img", image));
    }
    thumbnail.append(element("span", { textContent: number + 1 }));
    return thumbnail;
  }
}

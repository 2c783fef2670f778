// All pairs of a batch, small, to choose one.
import { t } from "../words.js";

export class Overview {
  #choose;

  /** choose(number) is called with the pair that was clicked, from 0. */
  constructor(choose) {
    this.#choose = choose;
    this.element = document.createElement("div");
    this.element.className = "fewstep-compare-all";
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
    const thumbnail = document.createElement("button");
    thumbnail.type = "button";
    thumbnail.setAttribute("aria-label", t("Pair {number}", { number: number + 1 }));
    for (const side of ["a", "b"]) {
      const image = document.createElement("img");
      // lazy has to stand before the address
      Object.assign(image, { loading: "lazy", alt: "", className: side, src: pair[side] });
      thumbnail.append(image);
    }
    const count = document.createElement("span");
    count.textContent = number + 1;
    thumbnail.append(count);
    thumbnail.onclick = () => this.#choose(number);
    return thumbnail;
  }
}

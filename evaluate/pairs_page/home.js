// Which comparisons there are, and how another one is begun.

import { element, tell } from "./elements.js";
import { ask } from "./server.js";

const NAME = "fewstep-rater";

/** The name under which this browser's votes are kept; "" where nobody has said it yet. */
export function raterName() {
  return localStorage.getItem(NAME) ?? "";
}

/** All comparisons, and a form for a new one, as elements. */
export async function home() {
  const [{ studies }, { sets, question }] = await Promise.all([ask("studies"), ask("sets")]);
  return [
    element("h1", {}, "Blind comparison"),
    element("p", {}, "Two pictures of one prompt and one noise, side by side, without a word of whose they are. " +
      "Say which is better. Every answer is kept at once; stop when you like, and go on later."),
    rater(),
    element("h2", {}, "Comparisons"),
    studies.length ? element("ul", { class: "studies" }, ...studies.map(study)) : element("p", {}, "None yet."),
    element("h2", {}, "Begin another"),
    begin(sets, question),
  ];
}

function rater() {
  const input = element("input", { id: "rater", maxlength: 64, autocomplete: "nickname", value: raterName() });
  input.addEventListener("input", () => localStorage.setItem(NAME, input.value.trim()));
  return element("p", { class: "field" }, element("label", { for: "rater" }, "Your name"), input,
    element("small", {}, "Several people can vote; each sees the pairs in an order of their own."));
}

function study({ name, is_closed, problem }) {
  if (problem) return element("li", {}, element("b", {}, name), element("small", {}, problem));
  const at = (place) => `#${place}/${encodeURIComponent(name)}`;
  return element("li", {}, element("b", {}, name),
    is_closed ? element("span", {}, "closed") : element("a", { href: at("rate") }, "Rate"),
    element("a", { href: at("results") }, "Results"));
}

function begin(sets, usual) {
  if (!sets.length) {
    return element("p", {}, "There are no pictures yet. Make sets of one golden set with Golden Pictures " +
      "(FewStep) or python run.py evaluate, and load this page anew.");
  }
  const name = element("input", { id: "name", maxlength: 40, required: true, value: "comparison" });
  const question = element("input", { id: "question", maxlength: 200, required: true, value: usual });
  const focus = element("input", { id: "focus", type: "checkbox", checked: true });
  const boxes = sets.map(set);
  const form = element("form", {},
    element("fieldset", {}, element("legend", {}, "Sets of pictures, two or more of one golden set"), ...boxes),
    element("p", { class: "field" }, element("label", { for: "name" }, "Name of the comparison"), name),
    element("p", { class: "field" }, element("label", { for: "question" }, "Question"), question),
    element("p", {}, focus, element("label", { for: "focus" },
      "Where a prompt is tagged, ask about its faces, hands, words, texture, counting or relations instead")),
    element("button", { class: "main" }, "Begin"));
  form.addEventListener("change", () => offerOnlyPartners(form, sets));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = new FormData(form).getAll("set");
    const body = { name: name.value.trim(), contenders: chosen, question: question.value, is_focused: focus.checked };
    try {
      const made = await ask("studies", body);
      location.hash = `#rate/${encodeURIComponent(made.name)}`;
    } catch (error) {
      tell(error.message);
    }
  });
  return form;
}

function set({ name, count, golden_set, problem }) {
  const box = element("input", { type: "checkbox", name: "set", value: name, disabled: Boolean(problem) });
  const told = problem || `${count} pictures of golden set ${golden_set.slice(0, 6)}`;
  return element("label", { class: "set" }, box, element("b", {}, name), element("small", {}, told));
}

// sets of another golden set have no pairs with those that are chosen
function offerOnlyPartners(form, sets) {
  const of = Object.fromEntries(sets.map((one) => [one.name, one]));
  const boxes = [...form.querySelectorAll("input[name=set]")];
  const chosen = boxes.find((box) => box.checked);
  for (const box of boxes) {
    const isApart = chosen && of[box.value].golden_set !== of[chosen.value].golden_set;
    box.disabled = Boolean(of[box.value].problem) || Boolean(isApart);
  }
}

// The page's three views, by what stands behind # in its address.

import { element, tell } from "./elements.js";
import { home, raterName } from "./home.js";
import { rate } from "./rating.js";
import { results } from "./results.js";

const view = document.getElementById("view");
let leave = () => {};
// counts views, so that an answer that comes late does not show in another one
let turn = 0;

async function show() {
  leave();
  leave = () => {};
  tell("");
  const mine = ++turn;
  const [place, word] = location.hash.slice(1).split("/");
  const name = decodeURIComponent(word ?? "");
  if (place === "rate" && raterName()) {
    leave = rate(view, name, raterName());
    return;
  }
  view.className = "is-text";
  view.replaceChildren(element("p", {}, "One moment …"));
  try {
    const shown = place === "rate" ? nameless() : await (place === "results" ? results(name) : home());
    if (mine === turn) view.replaceChildren(...shown);
  } catch (error) {
    if (mine === turn) tell(error.message);
  }
}

function nameless() {
  const link = element("a", { href: "#" }, "All comparisons");
  return [
    element("h1", {}, "Who are you?"),
    element("p", {}, "Votes are kept under a name. Write yours first: ", link),
  ];
}

addEventListener("hashchange", show);
show();

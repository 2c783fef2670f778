// The page's three views, by what stands behind # in its address.

import { element, tell } from "./elements.js";
import { raterName, showHome } from "./home.js";
import { rate } from "./rating.js";
import { showResults } from "./results.js";

const view = document.getElementById("view");
let leave = () => {};

async function show() {
  leave();
  leave = () => {};
  tell("");
  const [place, word] = location.hash.slice(1).split("/");
  const name = decodeURIComponent(word ?? "");
  try {
    if (place === "rate" && raterName()) leave = rate(view, name, raterName());
    else if (place === "rate") askName();
    else if (place === "results") await showResults(view, name);
    else await showHome(view);
  } catch (error) {
    tell(error.message);
  }
}

function askName() {
  view.className = "is-text";
  const link = element("a", { href: "#" }, "All comparisons");
  view.replaceChildren(element("h1", {}, "Who are you?"),
    element("p", {}, "Votes are kept under a name. Write yours first: ", link));
}

addEventListener("hashchange", show);
show();

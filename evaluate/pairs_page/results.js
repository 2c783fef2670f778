// What a comparison found, once all have voted.

import { element, tell } from "./elements.js";
import { address, ask, ofStudy } from "./server.js";

const KINDS = { human: "People", model: "Judge models" };
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

/** The results of a comparison, or why they are hidden still, as elements. */
export async function results(name) {
  const head = [element("p", {}, element("a", { href: "#" }, "All comparisons")), element("h1", {}, name)];
  try {
    return [...head, ...parts(await ask(ofStudy(name, "results")), name)];
  } catch (error) {
    return [...head, element("p", { class: "said" }, error.message), closing(name)];
  }
}

function closing(name) {
  const sure = "Nobody can vote in this comparison any more. Close it?";
  const close = async () => {
    if (!confirm(sure)) return;
    try {
      await ask(ofStudy(name, "close"), {});
      location.reload();
    } catch (error) {
      tell(error.message);
    }
  };
  return element("button", { type: "button", onclick: close }, "Close it and show what there is");
}

function parts({ found }, name) {
  const files = ["csv", "json"].map((ending) =>
    element("a", { href: address(ofStudy(name, `votes.${ending}`)), download: "" }, `All votes as ${ending.toUpperCase()}`));
  const kinds = Object.keys(KINDS).filter((kind) => found[kind]);
  const shown = kinds.length ? kinds.flatMap((kind) => ofKind(KINDS[kind], found[kind])) : [element("p", {}, "Nobody has voted.")];
  return [...shown, element("p", { class: "files" }, ...files)];
}

function ofKind(title, { outcome, sentences }) {
  const said = sentences.map((sentence) => element("p", {}, sentence));
  const raters = Object.entries(outcome.raters).map(([rater, votes]) => `${rater} (${votes})`).join(", ");
  const skipped = outcome.skipped ? `, ${outcome.skipped} of them skipped` : "";
  return [
    element("h2", {}, title),
    ...said,
    ...outcome.duels.map(duel),
    ...strengths(Object.entries(outcome.strengths)),
    element("p", {}, element("small", {}, `Votes: ${raters}${skipped}.`)),
  ];
}

function duel({ a, b, rate, by_tag }) {
  const rows = [["all prompts", rate], ...Object.entries(by_tag)];
  return element("table", { class: "duel" },
    element("caption", {}, `How often ${a} was preferred to ${b}`),
    element("tbody", {}, ...rows.map(([label, share]) => row(label, share))));
}

function row(label, { value, low, high, count }) {
  const bar = element("div", { class: "bar" });
  bar.style.setProperty("--low", low ?? value);
  bar.style.setProperty("--high", high ?? value);
  bar.style.setProperty("--value", value);
  const told = low === null ? percent(value) : `${percent(value)} (${percent(low)} to ${percent(high)})`;
  return element("tr", {}, element("th", { scope: "row" }, label), element("td", { class: "wide" }, bar),
    element("td", {}, told), element("td", {}, `${count} prompts`));
}

function strengths(entries) {
  if (!entries.length) return [];
  const rows = entries.map(([name, { value, low, high }]) => {
    const limits = low === null ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`;
    return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value.toFixed(2) + limits));
  });
  return [element("table", {}, element("caption", {}, "Bradley-Terry strength; 1.1 more wins three of four votes"),
    element("tbody", {}, ...rows))];
}

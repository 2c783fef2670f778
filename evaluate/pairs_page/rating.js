// A rater's pairs, one after the other: which side is better, without knowing whose it is.

import { element, tell } from "./elements.js";
import { address, ask, askUntilAnswered, ofStudy, Unreachable } from "./server.js";
import { zoomTogether } from "./zoom.js";

const SIDES = ["left", "right"];
const KEYS = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowDown: "tie",
  t: "tie",
  s: "skip",
  u: "undo",
  Backspace: "undo",
};
const GONE = "The server does not answer; nothing is lost. Waiting for it …";

/** Show the pairs of a comparison in view. Returns how to stop. */
export function rate(view, name, rater) {
  const pictures = new Map(); // by number, the next pair's too
  const shown = parts(act, name);
  const zoom = zoomTogether(shown.frames);
  let pair = null;
  let isBusy = true;
  let isSeen = false; // nobody votes on what is not on the screen
  let isLeft = false;

  view.replaceChildren(shown.whole);
  view.className = "is-rating";
  document.addEventListener("keydown", onKey);
  next();
  return () => {
    isLeft = true;
    document.removeEventListener("keydown", onKey);
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = zoom[key] ?? (KEYS[key] && (() => act(KEYS[key])));
    if (!found) return;
    event.preventDefault();
    found();
  }

  async function act(choice) {
    if (isBusy || !mayBe(choice)) return;
    setBusy(true);
    let trouble = "";
    let state = null;
    try {
      state = choice === "undo" ? await ask(ofStudy(name, "undo"), { rater }) : await vote(choice);
    } catch (error) {
      if (!(error instanceof Unreachable)) trouble = error.message;
    }
    await next(state, trouble);
  }

  function mayBe(choice) {
    return choice === "undo" || (pair && (isSeen || choice === "skip"));
  }

  // given once, whatever happens to the server in between
  async function vote(choice) {
    const { number } = pair;
    for (;;) {
      try {
        return await ask(ofStudy(name, "vote"), { rater, number, choice });
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        const state = await current();
        const isHeard = state.pair?.number !== number;
        if (isHeard) return state;
      }
    }
  }

  function current() {
    return askUntilAnswered(ofStudy(name, "next"), { rater }, () => say(GONE));
  }

  function say(trouble) {
    if (!isLeft) tell(trouble);
  }

  async function next(state = null, trouble = "") {
    setBusy(true);
    try {
      await show(state ?? (await current()));
      say(trouble);
    } catch (error) {
      say(error.message);
    }
    setBusy(false);
  }

  async function show(state) {
    pair = state.pair;
    shown.progress.max = state.total;
    shown.progress.value = state.answered;
    shown.count.textContent = `${state.answered} of ${state.total}`;
    shown.whole.classList.toggle("is-done", !pair);
    shown.question.textContent = pair ? pair.question : ending(state);
    shown.prompt.textContent = pair ? pair.prompt : "";
    zoom[0]();
    if (pair) await showPictures(pair.number);
    if (pair && pair.number + 1 < state.total) load(pair.number + 1).catch(() => {});
  }

  async function showPictures(number) {
    isSeen = false;
    for (const frame of shown.frames) frame.replaceChildren();
    for (const other of pictures.keys()) if (other !== number) pictures.delete(other);
    const images = await load(number);
    shown.frames.forEach((frame, k) => frame.replaceChildren(images[k]));
    isSeen = true;
  }

  async function load(number) {
    if (!pictures.has(number)) {
      pictures.set(number, Promise.all(SIDES.map((side) => one(number, side))));
    }
    try {
      return await pictures.get(number);
    } catch (error) {
      pictures.delete(number);
      throw error;
    }
  }

  async function one(number, side) {
    const query = `?rater=${encodeURIComponent(rater)}`;
    const path = ofStudy(name, `pictures/${number}/${side}`) + query;
    const image = element("img", { alt: `${side} picture`, src: address(path), draggable: "false" });
    await image.decode().catch(() => {
      throw new Error(`The ${side} picture cannot be shown. Skip the pair, or load the page anew.`);
    });
    return image;
  }

  function setBusy(is) {
    isBusy = is;
    for (const button of shown.buttons) button.disabled = is || !mayBe(button.name);
  }
}

function ending(state) {
  if (state.is_closed) return "This comparison is closed.";
  return "That was the last pair. Thank you.";
}

function parts(act, name) {
  const button = (choice, label, key, ...more) =>
    element("button", { type: "button", name: choice, title: key, onclick: () => act(choice) }, label, ...more);
  const frames = SIDES.map((side) => element("div", { class: `frame ${side}` }));
  const count = element("span", { class: "count" });
  const progress = element("progress", { "aria-label": "pairs answered" });
  const question = element("h1", { "aria-live": "polite" });
  const prompt = element("p", { class: "prompt", tabindex: "0", "aria-label": "prompt" });
  // beside each other, or one above the other where a screen is narrow
  const side = (beside, stacked) => [
    element("span", { class: "beside" }, beside),
    element("span", { class: "stacked" }, stacked),
  ];
  const buttons = [
    button("left", "", "Arrow left", ...side("← Left", "↑ Upper")),
    button("tie", "Tie", "Arrow down, or T"),
    button("right", "", "Arrow right", ...side("Right →", "↓ Lower")),
    button("skip", "Skip", "S"),
    button("undo", "Undo", "U, or Backspace"),
  ];
  const home = element("a", { href: "#" }, "All comparisons");
  const results = element("a", { class: "results", href: `#results/${encodeURIComponent(name)}` }, "Results");
  const top = element("header", {}, home, progress, count, results);
  const whole = element(
    "div",
    { class: "rating" },
    top,
    question,
    element("div", { class: "frames" }, ...frames),
    prompt,
    element("div", { class: "buttons" }, ...buttons),
    element("p", { class: "keys" }, "Keys: ← → better, ↓ tie, S skip, U undo, + − 0 zoom; wheel and drag."),
  );
  return { whole, frames, count, progress, question, prompt, buttons };
}

// Whether Live is on, and what it does with every edit and with everything that the server says.
import { app } from "/scripts/app.js";
import { keepPicture, showPicture } from "./display.js";
import { Latest } from "./latest.js";
import { ask, forget, passesOf, reasonOf, takeBack, takeBackAtOnce, Unreachable } from "./runs.js";
import { quickState, whatLeadsToLive } from "./upstream.js";
import { nodeOf } from "../node_of.js";
import { t } from "../words.js";

// milliseconds between looks at the graph, while live
const LOOK = 30;
// pictures whose rate is told
const RECENT = 10;
// milliseconds without a live output after which Live is over
const GONE = 1000;
const PICTURE = "b_preview_with_metadata";

const parts = new Map(); // of each live output of the workflow, by its node
let watch = null; // the timer, while live
let quick = ""; // state at the last look
let asked = ""; // state of the last run
let isDragging = false; // a pointer is held down
let workflow = null; // in which it was switched on
let before = null; // state before others heard what the server says
let run = null; // { id, hasBegun, isCut, isShown, passes, held, prompt }
let times = [];
// runs of ours that were taken back; one may begin all the same, between the question and the answer
const dropped = new Set();

const latest = new Latest({ begin, cut });

function isOn() {
  return watch !== null;
}

/** Switch Live on, or off. */
export function toggle() {
  if (isOn()) stop();
  else start();
}

/** A live output is on the canvas; shown is its display. */
export function join(node, shown) {
  parts.set(node, shown);
  shown.keep.onclick = () => keepPicture(shown);
  update();
}

export function leave(node) {
  parts.delete(node);
  // undoing takes the whole workflow away and puts it there again
  setTimeout(() => isOn() && !parts.size && stop(), GONE);
}

/** The page is being closed; whatever is still on its way to the server is too late. */
export function leftPage() {
  if (run?.id) takeBackAtOnce(run.id);
}

function start() {
  watch = setInterval(look, LOOK);
  workflow = openWorkflow();
  quick = asked = "";
  times = [];
  tell("");
  update();
}

function stop(trouble = "") {
  clearInterval(watch);
  watch = null;
  if (run) cut();
  run = null;
  latest.stop();
  tell(trouble);
  update();
}

function update() {
  for (const { live } of parts.values()) {
    live.setAttribute("aria-pressed", String(isOn()));
    live.textContent = isOn() ? t("Stop") : t("Live");
  }
}

function tell(text) {
  for (const shown of parts.values()) shown.tell(text);
}

function openWorkflow() {
  return app.extensionManager.workflow?.activeWorkflow?.path;
}

async function look() {
  if (workflow !== openWorkflow()) stop();
  const now = quickState();
  if (now === quick || !parts.size || !isOn()) return;
  quick = now;
  let found;
  try {
    found = await whatLeadsToLive();
  } catch (error) {
    stop(error.message);
    return;
  }
  if (!isOn()) return;
  if (!found.targets.length) {
    stop(t("There is no active Live Output (FewStep) in this workflow."));
  } else if (found.state !== asked) {
    asked = found.state;
    latest.edited(isDragging);
  }
}

async function begin() {
  const mine = { id: null, hasBegun: false, isCut: false, isShown: false, passes: 0, held: [] };
  run = mine;
  try {
    const { prompt, targets, state } = await whatLeadsToLive();
    asked = state;
    mine.prompt = prompt;
    mine.id = await ask(prompt, targets);
  } catch (error) {
    if (run === mine && error instanceof Unreachable) wait();
    else if (run === mine) stopFor(reasonOf(error));
    return;
  }
  // it was cut off, or Live was switched off, before the server had named it
  if (run !== mine || mine.isCut) drop(mine);
  for (const { name, detail } of mine.held) listeners[name](detail);
}

/** There is no server; Live goes on when it is back. */
function wait() {
  run = null;
  latest.stop();
  tell(t("The server does not answer; Live goes on when it does."));
}

/** Stop where there is no run to be taken back. */
function stopFor(reason) {
  run = null;
  stop(reason);
}

/** Take a run of our own back, whether it waits or runs; nobody else's is touched. */
async function drop({ id, hasBegun }) {
  dropped.add(id);
  await takeBack(id);
  // one that has not begun ends without a word
  if (!hasBegun) end(id, false);
}

function cut() {
  if (!run || run.isCut) return;
  run.isCut = true;
  if (run.id !== null) drop(run);
}

function end(id, isShown) {
  if (run?.id !== id) return;
  run = null;
  latest.ended(isShown);
}

function picture({ blob, nodeId, displayNodeId, jobId }) {
  // a run that was cut off may have been faster
  if (isOn() && (!run || (jobId && jobId !== run.id))) return;
  const shown = parts.get(nodeOf(displayNodeId ?? nodeId));
  showPicture(shown, blob, run?.prompt ?? null);
  if (run) run.isShown = true;
}

function rate() {
  times = [...times, performance.now()].slice(-RECENT);
  const span = times.at(-1) - times[0];
  return span ? ((times.length - 1) * 1000) / span : 0;
}

function told(passes) {
  const words = [t("{milliseconds} ms", { milliseconds: Math.round(latest.duration) })];
  if (passes === 1) words.push(t("1 pass"));
  else if (passes) words.push(t("{count} passes", { count: passes }));
  const pictures = rate();
  if (pictures) words.push(t("{rate} pictures/s", { rate: pictures.toFixed(1) }));
  return words.join(" · ");
}

const listeners = {
  [PICTURE]: picture,
  execution_start({ prompt_id }) {
    if (dropped.has(prompt_id)) takeBack(prompt_id);
    if (run?.id !== prompt_id) return;
    run.hasBegun = true;
    latest.begun();
  },
  progress_text({ text }) {
    if (run) run.passes += passesOf(text);
  },
  execution_success({ prompt_id }) {
    if (dropped.delete(prompt_id) || run?.id === prompt_id) forget(prompt_id);
    if (run?.id !== prompt_id) return;
    const { passes, isShown } = run;
    end(prompt_id, isShown);
    if (isShown) tell(told(passes));
  },
  execution_interrupted({ prompt_id }) {
    if (dropped.delete(prompt_id)) forget(prompt_id);
    if (run?.id !== prompt_id) return;
    if (run.isCut) end(prompt_id, false);
    // the user has pressed Cancel
    else stopFor(t("stopped"));
  },
  execution_error({ prompt_id, exception_message }) {
    if (run?.id === prompt_id) stopFor(exception_message);
  },
  reconnecting() {
    if (isOn()) wait();
  },
  reconnected() {
    if (isOn()) latest.edited();
  },
};
// what nodes do on the page when they hear of it is the run's doing, not an edit
const CHANGING = ["execution_start", "executed", "execution_success"];

/** Hear what the server says before the page does; to be called while extensions are loaded. */
export function listenFirst(api) {
  for (const name of CHANGING)
    api.addEventListener(name, ({ detail }) => (before = isOfRun(detail) ? quickState() : null));
  api.addEventListener(PICTURE, (event) => isOurs(event) && hear(PICTURE, event.detail));
}

/** Hear what the server says when the page and its nodes have; to be called when it is set up. */
export function listenLast(api) {
  for (const name of CHANGING)
    api.addEventListener(name, () => queueMicrotask(forgive));
  for (const name of Object.keys(listeners))
    if (name !== PICTURE) api.addEventListener(name, ({ detail }) => hear(name, detail));
}

/** Hear whether a pointer is held down. */
export function watchPointer(page) {
  page.addEventListener("pointerdown", () => (isDragging = true), { capture: true });
  for (const name of ["pointerup", "pointercancel"])
    page.addEventListener(name, letGo, { capture: true });
}

async function letGo() {
  isDragging = false;
  if (!isOn()) return;
  await look();
  latest.settle();
}

/** A picture of a live output that has a display; the page itself would show it once more below. */
function isOurs(event) {
  const { nodeId, displayNodeId } = event.detail;
  if (!parts.has(nodeOf(displayNodeId ?? nodeId))) return false;
  event.stopImmediatePropagation();
  return true;
}

function hear(name, detail) {
  // the server may be faster with the run than with its name
  if (run && run.id === null && name !== "reconnecting") run.held.push({ name, detail });
  else listeners[name](detail);
}

/** Whether it is of the run in flight, which may have no name yet. */
function isOfRun({ prompt_id }) {
  return run !== null && (run.id === null || run.id === prompt_id);
}

/** Take what nodes have just changed as known, unless somebody has edited at the same time. */
async function forgive() {
  const after = before === null ? null : quickState();
  const isItsDoing = after !== before && before === quick;
  before = null;
  if (!isItsDoing) return;
  quick = after;
  const { state } = await whatLeadsToLive();
  if (quick === after) asked = state;
}

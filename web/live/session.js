// Whether Live is on, and what it does with every edit and with everything that the server says.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { keepPicture, showPicture } from "./display.js";
import { Latest } from "./latest.js";
import { Line } from "./line.js";
import { OwnRuns } from "./own_runs.js";
import { passesOf, reasonOf, Unreachable } from "./runs.js";
import { forgetRate, isSampler, told } from "./told.js";
import { quickState, whatLeadsToLive } from "./upstream.js";
import { isWanted } from "../is_wanted.js";
import { nodeOf } from "../node_of.js";
import { t } from "../words.js";

// milliseconds between looks at the graph, while live, for what no event tells
const LOOK = 30;
// milliseconds without a live output after which Live is over
const GONE = 1000;
const PICTURE = "b_preview_with_metadata";

const parts = new Map(); // of each live output of the workflow, by its node
let watch = null; // the timer, while live
let quick = ""; // state at the last look
let asked = ""; // state of the last run
let isFirst = true; // no run has ended yet: the page follows it, and forgets errors of before
let isDragging = false; // a pointer is held down
let workflow = null; // in which it was switched on
let before = null; // state before others heard what the server says
let known = null; // what led to live outputs, and the state at the look that found it

const own = new OwnRuns({ gone: (run) => latest.ended(run, false) });
const latest = new Latest({ begin, cut: (run) => own.drop(run) });
const line = new Line({ heard, lost });

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
  own.dropAllAtOnce();
}

function start() {
  line.open();
  watch = setInterval(look, LOOK);
  workflow = openWorkflow();
  quick = asked = "";
  isFirst = true;
  forgetRate();
  tell("");
  update();
}

function stop(trouble = "") {
  clearInterval(watch);
  watch = null;
  own.dropAll();
  latest.stop();
  tell(trouble);
  update();
}

function update() {
  document.body.classList.toggle("fewstep-is-live", isOn());
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
  known = { found, state: now };
  if (!found.targets.length) {
    stop(t("There is no active Live Output (FewStep) in this workflow."));
  } else if (found.state !== asked) {
    asked = found.state;
    latest.edited(isDragging);
  }
}

/** Ask for a run of the latest state. */
function begin() {
  const run = own.make();
  ask(run);
  return run;
}

async function ask(run) {
  try {
    await own.ask(run, whatToAsk);
    latest.queued(run);
  } catch (error) {
    if (own.has(run) && error instanceof Unreachable) wait();
    else if (own.has(run)) stopFor(run, reasonOf(error));
  }
}

/** What leads to live outputs now; known already where nothing has changed since the last look. */
async function whatToAsk() {
  const found = known?.state === quickState() ? known.found : await whatLeadsToLive();
  asked = found.state;
  const isQuiet = found.isPlain && !isFirst && isWanted("FewStep.LiveQuiet");
  return { ...found, client: (isQuiet && line.id) || api.clientId };
}

/** There is no server; Live goes on when it is back. */
function wait() {
  own.removeAll();
  latest.stop();
  tell(t("The server does not answer; Live goes on when it does."));
}

/** Stop for what has come of a run. */
function stopFor(run, reason) {
  own.remove(run);
  stop(reason);
}

function picture({ blob, nodeId, displayNodeId, jobId }) {
  // a run that was cut off may have been faster
  const run = jobId ? own.of(jobId) : own.first;
  if (!run && (isOn() || own.hasDropped(jobId))) return;
  const shown = parts.get(nodeOf(displayNodeId ?? nodeId));
  showPicture(shown, blob, run?.prompt ?? null);
  if (run) run.isShown = true;
}

/** What is said of a run that the page does not follow. */
function heard(type, detail) {
  listeners[type]?.(detail);
  // for what the pack shows on nodes
  if (type === "execution_start") api.dispatchCustomEvent("fewstep.begun", detail);
}

/** Nothing more is heard of what runs; where there is no server either, it is heard of when asked. */
function lost() {
  if (!isOn()) return;
  own.dropAll();
  latest.stop();
  goOn();
}

/** Go on as after an edit; the page follows the next run, and forgets one whose end it did not hear. */
function goOn() {
  isFirst = true;
  line.open();
  latest.edited();
}

const listeners = {
  execution_start({ prompt_id }) {
    const run = own.begun(prompt_id);
    if (run) latest.begun(run);
  },
  progress_text({ text }) {
    if (own.first?.hasBegun) own.first.passes += passesOf(text);
  },
  "fewstep.passes"({ prompt_id, passes }) {
    const run = own.of(prompt_id);
    if (run) run.passes += passes;
  },
  progress({ prompt_id, node, max }) {
    const run = own.of(prompt_id);
    if (run && isSampler(node)) run.steps[node] = max;
  },
  execution_success({ prompt_id }) {
    const run = own.ended(prompt_id);
    if (!run) return;
    isFirst = false;
    latest.ended(run, run.isShown);
    if (run.isShown) tell(told(run, latest.duration));
  },
  execution_interrupted({ prompt_id }) {
    const run = own.ended(prompt_id);
    // the user has pressed Cancel
    if (run) stopFor(run, t("stopped"));
  },
  execution_error({ prompt_id, exception_message }) {
    const run = own.ended(prompt_id);
    if (run) stopFor(run, exception_message);
  },
  reconnecting() {
    if (isOn()) wait();
  },
  reconnected() {
    if (isOn()) goOn();
  },
};

// what nodes do on the page when they hear of it is the run's doing, not an edit
const CHANGING = ["execution_start", "executed", "execution_success"];

/** Hear what the server says before the page does; to be called while extensions are loaded. */
export function listenFirst() {
  for (const name of CHANGING)
    api.addEventListener(name, ({ detail: { prompt_id } }) => {
      before = own.of(prompt_id) ? quickState() : null;
    });
  api.addEventListener(PICTURE, (event) => isOurs(event) && picture(event.detail));
}

/** Hear what the server says when the page and its nodes have; to be called when it is set up. */
export function listenLast() {
  for (const name of CHANGING)
    api.addEventListener(name, () => queueMicrotask(forgive));
  for (const name of Object.keys(listeners))
    api.addEventListener(name, ({ detail }) => listeners[name](detail));
}

/** Hear what is typed, and whether a pointer is held down. */
export function watchEdits(page) {
  // sooner than the next look, but when the page's own listeners have heard it
  page.addEventListener("input", () => isOn() && queueMicrotask(look));
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

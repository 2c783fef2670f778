// Live: the picture follows the typing.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { display, showPicture } from "./live/display.js";
import { Latest } from "./live/latest.js";
import { LIVE_OUTPUT, quickState, whatLeadsToLive } from "./live/upstream.js";
import { t } from "./words.js";

// milliseconds between looks at the graph, while live
const LOOK = 30;
// pictures whose rate is told
const RECENT = 10;

const parts = new Map(); // of each live output on the canvas, by its node
let watch = null; // the timer, while live
let quick = ""; // state at the last look
let asked = ""; // state of the last run
let run = null; // { id, hasBegun, isCut, passes, pictures, prompt }
let kept = null; // { blob, prompt } of the picture on the screen
let times = [];
// runs of ours that were taken back; one may begin all the same, between the question and the answer
const dropped = new Set();

const latest = new Latest({ begin, cut });

function isOn() {
  return watch !== null;
}

function isWanted() {
  return app.extensionManager.setting.get("FewStep.Live") !== false;
}

function toggle() {
  if (isOn()) stop();
  else start();
}

function start() {
  watch = setInterval(look, LOOK);
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
    live.textContent = t(isOn() ? "Stop" : "Live");
  }
}

function tell(text) {
  for (const { told } of parts.values()) told.textContent = text;
}

async function look() {
  const now = quickState();
  if (now === quick) return;
  quick = now;
  let found;
  try {
    found = await whatLeadsToLive();
  } catch (error) {
    stop(error.message);
    return;
  }
  if (!isOn()) return;
  const { state, targets } = found;
  if (!targets.length) {
    stop("There is no active Live Output (FewStep) in this workflow.");
  } else if (state !== asked) {
    asked = state;
    latest.edited();
  }
}

async function begin() {
  const mine = (run = { id: null, hasBegun: false, isCut: false, passes: 0, pictures: [] });
  try {
    const { prompt, targets, state } = await whatLeadsToLive();
    asked = state;
    mine.prompt = prompt;
    const answer = await api.queuePrompt(0, prompt, { partialExecutionTargets: targets });
    mine.id = answer.prompt_id;
  } catch (error) {
    if (run === mine) refuse(error);
    return;
  }
  // it was cut off, or Live was switched off, before the server had named it
  if (run !== mine || mine.isCut) drop(mine);
  // pictures may come before the answer does
  for (const event of mine.pictures.splice(0)) picture(event);
}

/** Stop, with the server's reason on the node. */
function refuse(error) {
  const [node] = Object.values(error.response?.node_errors ?? {});
  const { message, details } = node?.errors?.[0] ?? error.response?.error ?? {};
  run = null;
  stop([message ?? error.message, details].filter(Boolean).join(": "));
}

/** Take a run of our own back, whether it waits or runs; nobody else's is touched. */
async function drop({ id, hasBegun }) {
  dropped.add(id);
  await post("/queue", { delete: [id] });
  await post("/interrupt", { prompt_id: id });
  // one that has not begun ends without a word
  if (!hasBegun) end(id, false);
}

function post(path, content) {
  return api.fetchApi(path, { method: "POST", body: JSON.stringify(content) }).catch(() => {});
}

function cut() {
  if (!run || run.isCut) return;
  run.isCut = true;
  if (run.id !== null) drop(run);
}

function end(id, isShown) {
  if (!run || run.id !== id) return;
  run = null;
  latest.ended(isShown);
}

function picture(event) {
  const { blob, nodeId, displayNodeId, jobId } = event.detail;
  const shown = [...parts].find(([node]) => String(node.id) === String(displayNodeId ?? nodeId));
  if (!shown) return;
  if (run && run.id === null) {
    run.pictures.push(event);
    return;
  }
  // a run that was cut off may have been faster
  if (isOn() && (!run || (jobId && jobId !== run.id))) return;
  showPicture(shown[1].image, blob);
  kept = { blob, prompt: run?.prompt ?? null };
  if (run) run.isShown = true;
}

function rate() {
  times = [...times, performance.now()].slice(-RECENT);
  const span = times.at(-1) - times[0];
  return span ? ((times.length - 1) * 1000) / span : 0;
}

function told(passes) {
  const words = [`${Math.round(latest.duration)} ms`];
  if (passes) words.push(`${passes} ${passes === 1 ? "pass" : "passes"}`);
  const pictures = rate();
  if (pictures) words.push(`${pictures.toFixed(1)} pictures/s`);
  return words.join(" · ");
}

async function keep() {
  if (!kept) {
    tell("There is no picture yet.");
    return;
  }
  const { blob } = kept;
  const prompt = kept.prompt ?? (await app.graphToPrompt());
  const form = new FormData();
  form.append("image", blob, "live.png");
  form.append("prompt", JSON.stringify(prompt.output));
  form.append("workflow", JSON.stringify(prompt.workflow));
  const response = await api.fetchApi("/fewstep/live/keep", { method: "POST", body: form });
  const answer = await response.json().catch(() => ({}));
  tell(response.ok ? `kept as ${answer.name}` : answer.error ?? `not kept: ${response.status}`);
}

const listeners = {
  b_preview_with_metadata: picture,
  execution_start: ({ detail }) => {
    if (dropped.has(detail.prompt_id)) post("/interrupt", { prompt_id: detail.prompt_id });
    if (!run || run.id !== detail.prompt_id) return;
    run.hasBegun = true;
    latest.begun();
  },
  progress_text: ({ detail }) => {
    const passes = /(\d+) network pass/.exec(detail.text ?? "");
    if (run && passes) run.passes += Number(passes[1]);
  },
  execution_success: ({ detail }) => {
    dropped.delete(detail.prompt_id);
    if (!run || run.id !== detail.prompt_id) return;
    const { passes, isShown } = run;
    end(detail.prompt_id, isShown);
    if (isShown) tell(told(passes));
  },
  execution_interrupted: ({ detail }) => {
    dropped.delete(detail.prompt_id);
    if (!run || run.id !== detail.prompt_id) return;
    if (run.isCut) end(detail.prompt_id, false);
    // the user has pressed Cancel
    else stop("stopped");
  },
  execution_error: ({ detail }) => {
    if (run && run.id === detail.prompt_id) refuse({ message: detail.exception_message });
  },
  reconnecting: () => {
    if (!isOn()) return;
    run = null;
    latest.stop();
    tell("The server does not answer; Live goes on when it does.");
  },
  reconnected: () => {
    if (isOn()) latest.edited();
  },
};

app.registerExtension({
  name: "fewstep.Live",
  commands: [
    {
      id: "FewStep.ToggleLive",
      label: "Live: follow every edit",
      icon: "pi pi-bolt",
      function: toggle,
    },
  ],
  menuCommands: [{ path: ["FewStep"], commands: ["FewStep.ToggleLive"] }],
  keybindings: [{ combo: { key: "l", alt: true, shift: true }, commandId: "FewStep.ToggleLive" }],
  setup() {
    for (const [name, listener] of Object.entries(listeners)) api.addEventListener(name, listener);
    addEventListener("pagehide", () => {
      if (run?.id) navigator.sendBeacon(api.apiURL("/interrupt"), JSON.stringify({ prompt_id: run.id }));
    });
  },
  nodeCreated(node) {
    if (node.comfyClass !== LIVE_OUTPUT || !isWanted()) return;
    const shown = display({ onToggle: toggle, onKeep: keep });
    parts.set(node, shown);
    const options = { serialize: false, getMinHeight: () => 260 };
    const widget = node.addDOMWidget("live", "fewstep_live", shown.whole, options);
    // neither in what is run nor in the saved workflow
    widget.serialize = false;
    const removed = node.onRemoved;
    node.onRemoved = function (...given) {
      parts.delete(node);
      if (isOn() && !parts.size) stop();
      return removed?.apply(this, given);
    };
    update();
  },
});

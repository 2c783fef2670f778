// What nodes know of their last run, on the node: badge, coverage bar, sigma curve, passes and time.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { isWanted } from "./is_wanted.js";
import { stateOf } from "./looks/graph.js";
import { openPanel } from "./looks/panel.js";
import { drawStrip, stripHeight } from "./looks/strip.js";
import { nodeOf } from "./node_of.js";
import { useStylesheet } from "./stylesheet.js";

const DECORATED = new Set([
  "FewStepLoraLoader",
  "FewStepModelLoader",
  "FewStepIdentify",
  "FewStepApply",
  "FewStepSample",
  "FewStepCheck",
  "FewStepGuider",
  "FewStepCache",
  "FewStepSigmas",
]);
// the one whose facts are known after it has ended
const LATE = "FewStepCache";
// parts of a strip, and the settings that switch them off
const PARTS = {
  badge: "FewStep.RecipeBadges",
  bar: "FewStep.CoverageBar",
  curve: "FewStep.SigmaCurve",
  run: "FewStep.PassesAndTime",
};
const WIDGET = "fewstep_looks";
// milliseconds between looks at whether a node has been changed since, or a setting
const LOOK = 300;

const looks = new Map(); // of each decorated node: { facts, state, key, begun, drawn, element, widget }
const states = new Map(); // in which facts were true, for a workflow that is opened again
let watch = null;
let begun = null; // the last run that has

function wantedParts() {
  return Object.keys(PARTS).filter((part) => isWanted(PARTS[part]));
}

function tell(node, facts) {
  const look = looks.get(node);
  if (!look) return;
  look.facts = { ...look.facts, ...facts };
  const key = JSON.stringify([node.id, node.comfyClass, look.facts]);
  look.state = look.begun ?? states.get(key) ?? stateOf(node);
  // seconds differ with every run, and Live makes thousands
  states.delete(look.key);
  states.set(key, look.state);
  look.key = key;
  draw(node, look);
  watch ??= setInterval(lookAround, LOOK);
}

function lookAround() {
  if (document.hidden) return;
  for (const [node, look] of looks) if (look.facts) draw(node, look);
}

function draw(node, look) {
  const given = { facts: look.facts, parts: wantedParts(), isOld: stateOf(node) !== look.state };
  const drawn = JSON.stringify([look.key, given.parts, given.isOld]);
  if (look.drawn === drawn) return;
  look.drawn = drawn;
  const height = stripHeight(given);
  if (!height) {
    remove(node, look);
    return;
  }
  if (!look.widget) place(node, look);
  look.height = height;
  drawStrip(look.element, given, () => openPanel(node.title, given));
  fit(node, node.size[1]);
}

function place(node, look) {
  look.element = document.createElement("div");
  const options = {
    serialize: false,
    hideInPanel: true,
    getMinHeight: () => look.height,
    getMaxHeight: () => look.height,
  };
  look.widget = node.addDOMWidget(WIDGET, WIDGET, look.element, options);
  // neither in what is run nor in the saved workflow
  look.widget.serialize = false;
}

function remove(node, look) {
  if (!look.widget) return;
  node.removeWidget(look.widget);
  look.widget = null;
  fit(node, node.size[1] - look.height);
}

function fit(node, height) {
  const [width, least] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(height, least)]);
  node.setDirtyCanvas(true, true);
}

/** A run has begun: what nodes are like now is what it works with. */
function begin(run) {
  if (run === begun) return;
  begun = run;
  for (const [node, look] of looks) look.begun = stateOf(node);
}

app.registerExtension({
  name: "fewstep.Looks",
  setup() {
    useStylesheet("looks/looks.css");
    // Live says at once what the page is told of runs that last alone
    for (const name of ["fewstep.begun", "execution_start"])
      api.addEventListener(name, ({ detail }) => begin(detail.prompt_id));
    api.addEventListener("fewstep.facts", ({ detail }) => {
      const node = nodeOf(detail.node);
      // of a MODEL that another workflow has left in ComfyUI's cache, the id may be another node's
      if (node?.comfyClass === LATE) tell(node, detail.facts);
    });
  },
  nodeCreated(node) {
    if (!DECORATED.has(node.comfyClass)) return;
    looks.set(node, {});
    const { onExecuted, onRemoved } = node;
    node.onExecuted = function (output, ...others) {
      const result = onExecuted?.call(this, output, ...others);
      if (output?.fewstep) tell(this, Object.fromEntries(output.fewstep));
      return result;
    };
    node.onRemoved = function (...given) {
      looks.delete(this);
      return onRemoved?.apply(this, given);
    };
  },
  // a workflow is open again, with what its nodes have shown
  onNodeOutputsUpdated(outputs) {
    for (const [id, output] of Object.entries(outputs ?? {})) {
      if (output?.fewstep) tell(nodeOf(id), Object.fromEntries(output.fewstep));
    }
  },
});

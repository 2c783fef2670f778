// Live: the picture follows the typing.
import { app } from "/scripts/app.js";
import { isWanted } from "./is_wanted.js";
import { display } from "./live/display.js";
import { join, leave, leftPage, listenFirst, listenLast, toggle, watchEdits } from "./live/session.js";
import { Sliders } from "./live/sliders.js";
import { LIVE_OUTPUT } from "./live/upstream.js";

// pixels: height of the picture with its buttons, and width of a new node
const SMALLEST = 260;
const COMFORTABLE = 340;

/** Call done() too when a method of this one node is called. */
function also(node, method, done) {
  const before = node[method];
  node[method] = function (...given) {
    const answer = before?.apply(this, given);
    done();
    return answer;
  };
}

function addDisplay(node) {
  const sliders = isWanted("FewStep.LiveSliders") ? new Sliders(node, () => fit(node)) : null;
  const shown = display({ onToggle: toggle, sliders: sliders?.whole });
  const getMinHeight = () => SMALLEST + (sliders?.height ?? 0);
  const options = { serialize: false, getMinHeight };
  const widget = node.addDOMWidget("live", "fewstep_live", shown.whole, options);
  // neither in what is run nor in the saved workflow
  widget.serialize = false;
  join(node, shown);
  // of a new node; a saved one is given its own size after this
  node.setSize([Math.max(node.size[0], COMFORTABLE), node.computeSize()[1]]);
  if (sliders) also(node, "onConfigure", () => sliders.refresh());
  also(node, "onRemoved", () => {
    sliders?.end();
    leave(node);
  });
}

/** Make a node as high as what is in it asks for. */
function fit(node) {
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  node.graph?.setDirtyCanvas(true, true);
}

listenFirst();

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
    listenLast();
    watchEdits(window);
    addEventListener("pagehide", leftPage);
  },
  nodeCreated(node) {
    if (node.comfyClass === LIVE_OUTPUT && isWanted("FewStep.Live")) addDisplay(node);
  },
});

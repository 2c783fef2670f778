// Live: the picture follows the typing.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import { display } from "./live/display.js";
import { join, leave, leftPage, listenFirst, listenLast, toggle, watchPointer } from "./live/session.js";
import { LIVE_OUTPUT } from "./live/upstream.js";

// pixels of the picture with its buttons
const SMALLEST = 260;

function isWanted(setting) {
  return app.extensionManager.setting.get(setting) !== false;
}

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
  const shown = display({ onToggle: toggle });
  const options = { serialize: false, getMinHeight: () => SMALLEST };
  const widget = node.addDOMWidget("live", "fewstep_live", shown.whole, options);
  // neither in what is run nor in the saved workflow
  widget.serialize = false;
  join(node, shown);
  also(node, "onRemoved", () => leave(node));
}

listenFirst(api);

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
    listenLast(api);
    watchPointer(window);
    addEventListener("pagehide", leftPage);
  },
  nodeCreated(node) {
    if (node.comfyClass === LIVE_OUTPUT && isWanted("FewStep.Live")) addDisplay(node);
  },
});

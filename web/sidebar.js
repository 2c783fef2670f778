// A tab in ComfyUI's sidebar: every model file, what it is, what it needs, and a graph for it.
import { app } from "/scripts/app.js";
import { isWanted } from "./is_wanted.js";
import { give, keyOf, parts } from "./sidebar/files.js";
import { panel } from "./sidebar/panel.js";
import { offers, place } from "./sidebar/place.js";
import { planFor } from "./sidebar/plan.js";
import { useStylesheet } from "./stylesheet.js";
import { t } from "./words.js";

const state = { files: [], recipes: [], total: 0, isReading: false, trouble: "" };
let shown = null; // the panel, while the tab is open
let isAsked = false; // whether the list was ever asked for

const acts = {
  recipes: () => state.recipes,
  onRefresh: read,
  onAdd: (file) => place(planFor(file, state.files, offers), shown.whole),
  onGive: async (file, recipe) => {
    const now = await give(file, recipe);
    state.files = state.files.map((one) => (keyOf(one) === keyOf(now) ? now : one));
    shown?.show(state);
  },
};

/** Read the list anew; the first time it is shown as it comes. */
async function read() {
  if (state.isReading) return;
  isAsked = true;
  const isFirst = !state.files.length;
  Object.assign(state, { isReading: true, trouble: "" });
  const found = [];
  try {
    for await (const part of parts()) {
      found.push(...part.files);
      state.total = part.total;
      state.recipes = part.recipes ?? state.recipes;
      if (isFirst) state.files = found;
      shown?.show(state);
    }
    state.files = found;
  } catch (error) {
    state.trouble = error.message;
  }
  state.isReading = false;
  shown?.show(state);
}

function render(slot) {
  shown = panel(acts);
  // so that the list scrolls below the search
  slot.style.height = "100%";
  slot.replaceChildren(shown.whole);
  shown.show(state);
  if (!isAsked) read();
}

app.registerExtension({
  name: "fewstep.Sidebar",
  setup() {
    if (!isWanted("FewStep.Sidebar")) return;
    useStylesheet("sidebar/sidebar.css");
    app.extensionManager.registerSidebarTab({
      id: "fewstep",
      icon: "pi pi-forward",
      title: "FewStep",
      tooltip: t("FewStep: model files and what they need"),
      type: "custom",
      render,
      destroy: () => (shown = null),
    });
  },
  // ComfyUI's own R
  refreshComboInNodes() {
    if (isAsked) read();
  },
});

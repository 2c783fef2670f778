// One file of the list: what it is at a glance, and the rest unfolded.
import { button, element, icon, select, withIcon } from "../elements.js";
import { t } from "../words.js";
import { baseTitle } from "./bases.js";

const SIGNS = {
  certain: "pi-check-circle",
  likely: "pi-check",
  unsure: "pi-question-circle",
  unknown: "pi-minus-circle",
  unreadable: "pi-exclamation-triangle",
};

/** How sure a file is, as people filter by it. */
export function surenessOf({ refused, confidence }) {
  if (refused) return "unreadable";
  return confidence === "none" ? "unknown" : confidence;
}

export function surenessWords() {
  return {
    certain: t("certain"),
    likely: t("likely"),
    unsure: t("unsure"),
    unknown: t("unknown"),
    unreadable: t("not readable"),
  };
}

export function kindWords() {
  return { lora: t("LoRA"), unet: t("diffusion model"), checkpoint: t("checkpoint") };
}

/** A file's <li>; acts are { onAdd(file), onGive(file, recipe id or null) }, recipes() all there are. */
export function row(file, acts) {
  const details = element("details", {}, [summary(file)]);
  details.addEventListener("toggle", () => {
    // thousands of files are listed, and few are looked at
    if (details.open && details.childElementCount === 1) details.append(body(file, acts));
  });
  const made = element("li", { className: "fewstep-file" }, [details]);
  if (!file.refused) made.append(addButton(file, acts));
  return made;
}

function addButton(file, { onAdd }) {
  const words = t("Add {name} to the workflow", { name: file.name });
  const made = withIcon("pi-plus", button("", t("Add to workflow"), () => onAdd(file), words));
  made.className = "fewstep-add";
  return made;
}

function summary(file) {
  const sure = surenessOf(file);
  const words = [icon(SIGNS[sure]), surenessWords()[sure]];
  const badge = element("span", { className: `fewstep-badge fewstep-${sure}` }, words);
  const line = (className, text) => (text ? element("span", { className, textContent: text }) : null);
  return element("summary", {}, [
    icon("pi-chevron-right"),
    line("fewstep-name", file.name),
    badge,
    line("fewstep-what", whatItIs(file)),
    line("fewstep-needs", needsLine(file.needs)),
  ]);
}

function whatItIs(file) {
  if (file.refused) return file.refused;
  if (file.title) return file.title;
  const kind = kindWords()[file.kind];
  return kind ? t("{kind}, no recipe known", { kind }) : t("no recipe known");
}

function needsLine(needs) {
  if (!needs) return null;
  const steps = needs.steps === 1 ? t("1 step") : t("{count} steps", { count: needs.steps });
  const scale = { scale: needs.scale };
  const guidance = needs.guidance === "cfg" ? t("cfg {scale}", scale) : t("guidance {scale}", scale);
  return [steps, guidance, needs.sampler].join(" · ");
}

function body(file, acts) {
  const made = element("div", { className: "fewstep-body" });
  if (!file.refused) {
    const add = button(t("Add to workflow"), null, () => acts.onAdd(file));
    made.append(element("div", { className: "fewstep-buttons" }, [withIcon("pi-plus", add)]));
  }
  made.append(facts(file));
  if (!file.refused) made.append(saying(file, acts));
  return made;
}

function facts(file) {
  const labels = {
    steps: t("steps"),
    cfg: t("cfg"),
    embedded: t("guidance"),
    sampler: t("sampler"),
    schedule: t("schedule"),
    shift: t("shift"),
    strength: t("strength"),
    stage: t("stage"),
    licence: t("licence"),
    source: t("source"),
    "known bad": t("known bad"),
    unverified: t("unverified"),
  };
  const rows = [
    [t("folder"), file.folder],
    [t("kind"), kindWords()[file.kind] ?? null],
    [t("base model"), baseTitle(file.base)],
    ...[...file.settings, ...file.cautions].map(([label, value]) => [labels[label] ?? label, value]),
    ...file.reasons.map((reason, place) => [place ? "" : t("because"), reason]),
    ...file.warnings.map((warning, place) => [place ? "" : t("warning"), warning]),
  ];
  const list = element("dl");
  for (const [label, value] of rows.filter(([, value]) => value)) {
    // what has no label belongs to the one above
    if (label) list.append(element("dt", { textContent: label }));
    list.append(element("dd", {}, [linked(value)]));
  }
  return list;
}

/** A text, as a link where it is an address and nothing else. */
function linked(text) {
  if (!/^https?:\/\/\S+$/.test(text)) return text;
  return element("a", { href: text, textContent: text, target: "_blank", rel: "noopener noreferrer" });
}

/** What the user may say of the file by hand. */
function saying(file, { recipes, onGive }) {
  const trouble = element("p", { className: "fewstep-trouble" });
  trouble.setAttribute("role", "alert");
  const act = async (recipe) => {
    trouble.textContent = "";
    try {
      await onGive(file, recipe);
    } catch (error) {
      trouble.textContent = error.message;
    }
  };
  const made = element("div", { className: "fewstep-saying" });
  if (file.said) {
    made.append(withIcon("pi-undo", button(t("Take it back"), null, () => act(null))), trouble);
    return made;
  }
  const fitting = recipes().filter((recipe) => fits(recipe, file));
  if (file.confidence === "certain" || !fitting.length) return made;
  const choices = [["", t("Choose a recipe ...")], ...fitting.map(({ id, title }) => [id, title])];
  const list = select(t("Recipe for {name}", { name: file.name }), choices);
  const give = button(t("Give it this recipe"), null, () => act(list.value));
  give.disabled = true;
  list.onchange = () => (give.disabled = !list.value);
  made.append(list, give, trouble);
  return made;
}

/** Whether a file may have a recipe, as far as its tensors tell. */
function fits(recipe, { base, kind }) {
  if (base !== null && base !== recipe.base) return false;
  return kind === null || (kind === "lora") === (recipe.kind === "lora");
}

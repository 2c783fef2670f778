// Which nodes, values and links put a file to use; nothing is done here.
import { t } from "../words.js";
import { BASES, baseTitle, edgeOf } from "./bases.js";

// how CheckpointLoaderSimple numbers its outputs
const MODEL = 0;
const CLIP = 1;
const VAE = 2;
// how our loaders do
const RECIPE = 1;

/**
 * A graph for a file of the list.
 *
 * @param file entry of the list; @param files all of them, to choose a base from.
 * @param offers (node type, widget) => the values that ComfyUI offers there, or null where it has
 *   no such node.
 * @returns { title, columns, links, notes }: columns of { id, type, widgets }, from left to right;
 *   links of [id, output's number, id, input's name]; notes are sentences.
 */
export function planFor(file, files, offers) {
  const found = { title: file.title ?? file.name, columns: [[], [], []], links: [], notes: [] };
  const add = (column, id, type, widgets = {}) => found.columns[column].push({ id, type, widgets });
  const link = (...ends) => found.links.push(ends);
  const parts = { file, files, offers, add, link, notes: found.notes };
  const draws = whatDraws(parts);
  addRecipe(parts);
  const base = addNetwork(parts, draws);
  if (draws) addPicture(parts, draws, base);
  else addApply(parts);
  return found;
}

/** What a picture of this base is made of, where this ComfyUI has all of it. */
function whatDraws({ file, offers, notes }) {
  const draws = BASES[file.base]?.draws;
  const title = baseTitle(file.base);
  if (!draws) {
    const words = title
      ? t("FewStep has no whole graph for {base}. Connect Apply (FewStep) to the sampler of a workflow for it.", { base: title })
      : t("FewStep does not know for which model this file is. Load that model, and connect Apply (FewStep) to its sampler.");
    notes.push(words);
    return null;
  }
  const types = draws.encoder?.type ? offers(draws.encoder.node, "type") : [];
  const isThere =
    offers(draws.latent, "width") && (!draws.encoder?.type || types?.includes(draws.encoder.type));
  if (!isThere) notes.push(t("This ComfyUI is too old for {base}. Update it for a whole graph.", { base: title }));
  return isThere ? draws : null;
}

/** The network, with the LoRA on it where the file is one; returns where CLIP and VAE come from. */
function addNetwork(parts, draws) {
  const { file, add, link } = parts;
  if (file.kind !== "lora") {
    add(0, "loader", "FewStepModelLoader", { model_name: file.name });
    const isWhole = file.kind === "checkpoint" && file.folder === "checkpoints";
    if (isWhole) return addCheckpoint(parts, file.name);
    return draws && !draws.encoder ? addCheckpoint(parts, baseOf(parts, true)?.name) : null;
  }
  const base = file.base && baseOf(parts, Boolean(draws) && !draws.encoder);
  const isCheckpoint = base ? base.folder === "checkpoints" : Boolean(draws) && !draws.encoder;
  if (isCheckpoint) addCheckpoint(parts, base?.name);
  else if (file.base) addUnet(parts, base?.name);
  add(0, "loader", "FewStepLoraLoader", { lora_name: file.name });
  if (file.base) link("base", MODEL, "loader", "model");
  return isCheckpoint ? "base" : null;
}

/** An undistilled model of the file's base, the first that one of ComfyUI's loaders takes. */
function baseOf({ file, files }, isWhole) {
  const suits = (one) =>
    one.base === file.base && !one.is_distilled && !one.refused && one.kind !== null &&
    (one.kind === "checkpoint" ? one.folder === "checkpoints" : isUnet(one) && !isWhole);
  return files.find(suits);
}

function isUnet({ kind, folder }) {
  return kind === "unet" && folder === "diffusion_models";
}

function addCheckpoint(parts, name) {
  addBase(parts, "CheckpointLoaderSimple", "ckpt_name", name);
  return "base";
}

function addUnet(parts, name) {
  addBase(parts, "UNETLoader", "unet_name", name);
}

function addBase({ file, add, notes }, type, widget, name) {
  // ComfyUI refuses to run what is not chosen
  add(0, "base", type, { [widget]: name ?? "" });
  const base = baseTitle(file.base);
  if (!name) notes.push(t("No undistilled {base} model was found. Choose one in its loader.", { base }));
}

/** A recipe by hand, where the file does not tell and its loader would stop. */
function addRecipe({ file, add, link, notes }) {
  if (file.recipe !== null && file.confidence !== "unsure") return;
  add(0, "said", "FewStepRecipe", { recipe_id: file.recipe ?? "" });
  link("said", 0, "loader", "recipe");
  notes.push(t("The file does not tell for sure what it is. Choose its recipe in Recipe (FewStep). A model that is not distilled belongs into ComfyUI's own loader."));
}

function addPicture(parts, draws, base) {
  const { file, add, link } = parts;
  const [clip, vae] = base ? [[base, CLIP], [base, VAE]] : addEncoders(parts, draws);
  const prompts = isNegativeHeard(file) ? ["positive", "negative"] : ["positive"];
  for (const prompt of prompts) {
    add(1, prompt, "CLIPTextEncode", {});
    link(...clip, prompt, "clip");
    link(prompt, 0, "sample", prompt);
  }
  const edge = edgeOf(file);
  add(1, "latent", draws.latent, { width: edge, height: edge, batch_size: 1 });
  add(1, "sample", "FewStepSample", {});
  link("loader", MODEL, "sample", "model");
  link("loader", RECIPE, "sample", "recipe");
  link("latent", 0, "sample", "latent_image");
  add(2, "decode", "VAEDecode", {});
  link("sample", 0, "decode", "samples");
  link(...vae, "decode", "vae");
  add(2, "preview", "PreviewImage", {});
  link("decode", 0, "preview", "images");
}

/** A network that is only run at cfg 1 hears no negative prompt. */
function isNegativeHeard({ needs, cfg }) {
  return needs !== null && needs.guidance === "cfg" && cfg[1] > 1;
}

function addEncoders({ add, offers }, { encoder, vae }) {
  const widgets = encoder.type ? { type: encoder.type } : {};
  const slots = { CLIPLoader: [""], DualCLIPLoader: [1, 2], QuadrupleCLIPLoader: [1, 2, 3, 4] };
  for (const [place, slot] of slots[encoder.node].entries()) {
    const widget = `clip_name${slot}`;
    // of one slot any of the names will do, of several each has its own
    const names = slot === "" ? encoder.names : [encoder.names[place]];
    Object.assign(widgets, chosen(widget, names, offers(encoder.node, widget)));
  }
  add(0, "clip", encoder.node, widgets);
  add(0, "vae", "VAELoader", chosen("vae_name", vae, offers("VAELoader", "vae_name")));
  return [["clip", 0], ["vae", 0]];
}

/** The first file offered whose name begins with one of these; nothing is set where there is none. */
function chosen(widget, names, offered) {
  const plain = (file) => file.split(/[\\/]/).at(-1).toLowerCase();
  for (const name of names) {
    const file = offered?.find((one) => plain(one).startsWith(name));
    if (file) return { [widget]: file };
  }
  return {};
}

function addApply({ add, link }) {
  add(1, "apply", "FewStepApply", {});
  link("loader", MODEL, "apply", "model");
  link("loader", RECIPE, "apply", "recipe");
}

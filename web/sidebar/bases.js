// What each base model is called, and what a graph that draws a picture with it is made of.

/** The nodes of text encoders; names are of the files that ComfyUI's own templates load. */
const clip = (type, ...names) => ({ node: "CLIPLoader", type, names });
const dual = (type, ...names) => ({ node: "DualCLIPLoader", type, names });
const quadruple = (...names) => ({ node: "QuadrupleCLIPLoader", names });

const picture = (latent, size, encoder = null, vae = []) => ({ latent, size, encoder, vae });
// files of these hold text encoders and VAE too, so that no other loader is needed
const whole = (latent, size) => picture(latent, size);

const QWEN3_4B = ["qwen_3_4b", "qwen_3_8b"];
const HIDREAM = ["clip_l_hidream", "clip_g_hidream", "t5xxl_fp8", "llama_3.1"];

/** Without "draws" a base is of films or sound, or needs nodes of its own. */
export const BASES = {
  sd15: { title: "SD 1.5", draws: whole("EmptyLatentImage", 512) },
  sd21: { title: "SD 2.1", draws: whole("EmptyLatentImage", 512) },
  sdxl: { title: "SDXL", draws: whole("EmptyLatentImage", 1024) },
  "ssd-1b": { title: "SSD-1B", draws: whole("EmptyLatentImage", 1024) },
  sd3: { title: "SD 3.5", draws: whole("EmptySD3LatentImage", 1024) },
  flux: {
    title: "FLUX.1",
    draws: picture("EmptySD3LatentImage", 1024, dual("flux", "clip_l", "t5xxl"), ["ae"]),
  },
  flux2: {
    title: "FLUX.2",
    draws: picture("EmptyFlux2LatentImage", 1024, clip("flux2", ...QWEN3_4B, "mistral"), ["flux2-vae"]),
  },
  flux3: {
    title: "FLUX.3",
    draws: picture("EmptyFlux2LatentImage", 1024, clip("flux3", "qwen3vl_4b"), ["flux2-vae"]),
  },
  "qwen-image": {
    title: "Qwen-Image",
    draws: picture("EmptySD3LatentImage", 1328, clip("qwen_image", "qwen_2.5_vl_7b"), ["qwen_image_vae"]),
  },
  "z-image": {
    title: "Z-Image",
    draws: picture("EmptySD3LatentImage", 1024, clip("lumina2", "qwen_3_4b"), ["ae"]),
  },
  krea2: {
    title: "Krea 2",
    draws: picture("EmptyLatentImage", 1024, clip("krea2", "qwen3vl_4b"), ["qwen_image_vae"]),
  },
  anima: {
    title: "Anima",
    draws: picture("EmptyLatentImage", 1024, clip("stable_diffusion", "qwen_3_06b"), ["qwen_image_vae"]),
  },
  "ernie-image": {
    title: "ERNIE-Image",
    draws: picture("EmptyFlux2LatentImage", 1024, clip("flux2", "ministral-3-3b"), ["flux2-vae"]),
  },
  "boogu-image": {
    title: "Boogu-Image",
    draws: picture("EmptyLatentImage", 1024, clip("boogu", "qwen3vl_8b"), ["ae"]),
  },
  lens: {
    title: "Lens",
    draws: picture("EmptyLatentImage", 1440, clip("lens", "gpt_oss_20b"), ["flux2-vae"]),
  },
  "hidream-i1": {
    title: "HiDream-I1",
    draws: picture("EmptySD3LatentImage", 1024, quadruple(...HIDREAM), ["ae"]),
  },
  "hidream-o1": { title: "HiDream-O1" },
  "hunyuan-image": { title: "HunyuanImage" },
  "qwen-image-2.1": { title: "Qwen-Image 2.1" },
  "mage-flow": { title: "Mage-Flow" },
  fibo2: { title: "FIBO 2" },
  chroma: { title: "Chroma" },
  prx: { title: "PRX" },
  pid: { title: "PiD" },
  sana: { title: "SANA" },
  dreamlite: { title: "DreamLite" },
  seedvr2: { title: "SeedVR2" },
  wan: { title: "Wan" },
  ltx2: { title: "LTX-2" },
  "hunyuan-video": { title: "HunyuanVideo" },
  "minimax-h3": { title: "MiniMax-H3" },
  "ace-step": { title: "ACE-Step" },
  "stable-audio-3": { title: "Stable Audio 3" },
};

/** What people call a base; an id that is not here stands for itself, null for none. */
export function baseTitle(base) {
  return base === null ? null : (BASES[base]?.title ?? base);
}

/** The edge of the picture that a file was made for, in pixels. */
export function edgeOf(file) {
  const isSmall = file.base === "sdxl" && file.family === "turbo";
  return isSmall ? 512 : BASES[file.base].draws.size;
}

"""What the names and shapes in a safetensors header tell: architecture, kind, special inputs."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..lora.dialects import parse_key
from ..lora.header import Header

# where a network's keys begin in the files that people share
PREFIXES = ("", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.", "model.")
DOWN = "down_blocks.{}.attentions.0"
TENTH_BLOCK = r"(down_blocks_2_attentions|input_blocks_[78])_\d_transformer_blocks_9_"
BOOGU = "double_stream_layers.0.img_instruct_attn"
# layers that LCM-LoRA and Lightning change besides attention; both are of rank 64, alpha 8
CONVOLUTION = r"_(conv[12]?|conv_shortcut|in_layers_2|out_layers_3)$"
TIME_LAYER = r"_(time_emb_proj|emb_layers_1)$"
SPEED_RANK, SPEED_ALPHA = 64, 8.0
UNETS = ("sd15", "sd21", "sdxl", "ssd-1b")
SPEED_HINT = (
    f"It is of rank {SPEED_RANK} and changes convolutions and time layers too, as an LCM- or "
    "Lightning-type LoRA does; which of the two nothing tells, and others can be like that."
)
# what only a file with text encoder or VAE has
COMPANIONS = ("first_stage_model.", "cond_stage_model.", "conditioner.", "vae.", "text_encoders.")


class Structure(NamedTuple):
    """base and kind are None where the header does not tell; reasons are sentences.

    hint is a sentence on what the file may be besides, which is not enough to choose by.
    """

    base: str | None
    kind: str | None
    features: frozenset[str]
    reasons: tuple[str, ...]
    hint: str | None = None


class NetworkSign(NamedTuple):
    """A weight that only this architecture has; sizes by dimension of its shape."""

    base: str
    key: str
    sizes: dict[int, int] = {}


class LoraSign(NamedTuple):
    """A module, dots as underscores, that only LoRAs of this architecture change."""

    base: str
    module: str
    width_in: int | None = None
    width_out: int | None = None


# The first that fits decides. Both namings of a network: of its authors, and of diffusers.
NETWORKS = (
    NetworkSign("dreamlite", "mid_block.resnets.0.conv1.depthwise.weight"),
    NetworkSign("sdxl", "input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight", {1: 2048}),
    NetworkSign("ssd-1b", "input_blocks.7.1.transformer_blocks.3.attn2.to_k.weight", {1: 2048}),
    NetworkSign("sd15", "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {1: 768}),
    NetworkSign("sd21", "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {1: 1024}),
    NetworkSign("sdxl", f"{DOWN.format(2)}.transformer_blocks.9.attn2.to_k.weight", {1: 2048}),
    NetworkSign("ssd-1b", f"{DOWN.format(2)}.transformer_blocks.3.attn2.to_k.weight", {1: 2048}),
    NetworkSign("sd15", f"{DOWN.format(0)}.transformer_blocks.0.attn2.to_k.weight", {1: 768}),
    NetworkSign("sd21", f"{DOWN.format(0)}.transformer_blocks.0.attn2.to_k.weight", {1: 1024}),
    NetworkSign("sd3", "joint_blocks.0.context_block.attn.qkv.weight"),
    NetworkSign("sd3", "transformer_blocks.0.attn.add_k_proj.weight", {1: 1536}),
    NetworkSign("sd3", "transformer_blocks.0.attn.add_k_proj.weight", {1: 2432}),
    NetworkSign("hunyuan-image", "img_in.proj.weight", {0: 3584}),
    NetworkSign("hunyuan-image", "x_embedder.proj.weight", {0: 3584}),
    NetworkSign("hunyuan-video", "txt_in.individual_token_refiner.blocks.0.norm1.weight"),
    NetworkSign("hunyuan-video", "context_embedder.token_refiner.refiner_blocks.0.norm1.weight"),
    NetworkSign("chroma", "distilled_guidance_layer.in_proj.weight"),
    NetworkSign("chroma", "distilled_guidance_layer.norms.0.scale"),
    NetworkSign("flux2", "double_stream_modulation_img.lin.weight"),
    NetworkSign("flux2", "double_stream_modulation_img.linear.weight"),
    NetworkSign("flux3", "early_stream_modulations.image.linear.weight"),
    NetworkSign("flux", "double_blocks.0.img_attn.qkv.weight", {1: 3072}),
    NetworkSign("flux", "single_transformer_blocks.0.proj_mlp.weight", {1: 3072}),
    NetworkSign("mage-flow", "txt_norm.weight", {0: 2560}),
    NetworkSign("qwen-image", "txt_norm.weight", {0: 3584}),
    NetworkSign("qwen-image-2.1", "txt_in.text_norm.weight"),
    NetworkSign("pid", "lq_proj.latent_proj.0.weight"),
    NetworkSign("z-image", "cap_embedder.1.weight", {0: 3840}),
    NetworkSign("krea2", "txtfusion.projector.weight"),
    NetworkSign("krea2", "text_fusion.projector.weight"),
    NetworkSign("lens", "transformer_blocks.0.img_mlp.w1.weight"),
    NetworkSign("boogu-image", f"{BOOGU}.processor.img_to_q.weight"),
    NetworkSign("hidream-i1", "caption_projection.0.linear.weight"),
    NetworkSign("hidream-o1", "t_embedder1.mlp.0.weight"),
    NetworkSign("ernie-image", "layers.0.adaLN_sa_ln.weight"),
    NetworkSign("fibo2", "perceiver.latent_queries"),
    NetworkSign("anima", "llm_adapter.blocks.0.cross_attn.q_proj.weight"),
    NetworkSign("minimax-h3", "token_refiner.refiner_blocks.0.norm1.weight"),
    NetworkSign("wan", "head.modulation"),
    NetworkSign("wan", "condition_embedder.time_proj.weight"),
    NetworkSign("ltx2", "audio_adaln_single.linear.weight"),
    NetworkSign("ltx2", "audio_time_embed.linear.weight"),
    NetworkSign("ace-step", "time_embed_r.time_proj.weight"),
    NetworkSign("stable-audio-3", "prompt_padding_embedding"),
    NetworkSign("sana", "transformer_blocks.0.ff.conv_inverted.weight"),
    NetworkSign("prx", "blocks.0.attention.img_qkv_proj.weight"),
    NetworkSign("seedvr2", "blocks.31.mlp.all.proj_in_gate.weight"),
)
LORAS = (
    LoraSign("sdxl", TENTH_BLOCK, 1280),
    LoraSign("sdxl", TENTH_BLOCK + r"attn2(_processor)?_to_[kv]", 2048),
    LoraSign("sdxl", r"(mid_block|middle_block)_\w+_attn2_to_k", 2048),
    LoraSign("ssd-1b", r"attn2(_processor)?_to_k", 2048),
    LoraSign("sd21", r"attn2(_processor)?_to_k", 1024),
    LoraSign("sd15", r"attn2(_processor)?_to_k", 768),
    LoraSign("sd3", r"joint_blocks_\d+_(context|x)_block"),
    LoraSign("flux2", r"single_transformer_blocks_\d+_attn_to_qkv_mlp_proj"),
    LoraSign("flux2", r"single_blocks_\d+_linear1", 6144, 55296),
    LoraSign("flux2", r"single_blocks_\d+_linear1", 4096, 36864),
    LoraSign("flux2", r"single_blocks_\d+_linear1", 3072, 27648),
    LoraSign("flux", r"single_blocks_\d+_linear1", 3072, 21504),
    LoraSign("flux", r"double_blocks_\d+_img_mlp_0", 3072, 12288),
    LoraSign("flux", r"single_transformer_blocks_\d+_(attn_to_[qkv]|proj_mlp)", 3072),
    LoraSign("qwen-image", r"transformer_blocks_\d+_((img|txt)_mlp_net_0_proj|img_mod_1)", 3072),
    LoraSign("z-image", r"layers_\d+_(attention_(qkv|to_[qkv])|feed_forward_w[13])", 3840),
    LoraSign("fibo2", r"layers_\d+_(attention_to_[qkv]|feed_forward_w[13])", 3584),
    LoraSign("boogu-image", r"double_stream_layers_\d+_"),
    LoraSign("wan", r"(^|_)blocks_\d+_(self|cross)_attn_[qkvo]$"),
    # Cosmos-Predict2 2B, which Anima was made from, has them too
    LoraSign("anima", r"(^|_)blocks_\d+_self_attn_[qkv]_proj$", 2048),
    LoraSign("minimax-h3", r"transformer_blocks_\d+_(attn_to_[qkv]|ff_net_0_proj)", 5376),
    LoraSign("ltx2", r"transformer_blocks_\d+_audio_attn"),
    LoraSign("hidream-i1", r"(double|single)_stream_blocks_\d+_block"),
    LoraSign("sd3", r"transformer_blocks_\d+_attn_(to_[qkv]|add_k_proj)", 2432),
    LoraSign("sd3", r"transformer_blocks_\d+_attn_(to_[qkv]|add_k_proj)", 1536),
)
# feature: the weight that shows it
FEATURES = {
    "w embedding": ("time_embedding.cond_proj.weight", "time_embed.cond_proj.weight"),
    "guidance embedding": (
        "guidance_in.in_layer.weight",
        "time_text_embed.guidance_embedder.linear_1.weight",
    ),
    "mean flow": (
        "time_r_in.in_layer.weight",
        "time_guidance_embed.timestep_embedder_r.linear_1.weight",
    ),
}


def structure_of(header: Header) -> Structure:
    """Read a header; no tensor is touched."""
    modules = list(_lora_modules(header))
    if modules:
        found = _of_lora(modules)
        alpha = header.metadata.get("ss_network_alpha")
        is_like = found.base in UNETS and _is_speed_like(modules, alpha)
        return found._replace(hint=SPEED_HINT) if is_like else found
    for prefix in PREFIXES:
        for sign in NETWORKS:
            if _has(header, prefix + sign.key, sign.sizes):
                return _of_network(header, prefix, sign)
    reason = "The names of its tensors are of no architecture that FewStep knows."
    return Structure(None, None, frozenset(), (reason,))


def _has(header, key, sizes):
    tensor = header.tensors.get(key)
    if tensor is None:
        return False
    return all(dim < len(tensor.shape) and tensor.shape[dim] == n for dim, n in sizes.items())


def _of_network(header, prefix, sign):
    features = {
        feature
        for feature, keys in FEATURES.items()
        if any(prefix + key in header.tensors for key in keys)
    }
    if sign.base == "flux" and "guidance embedding" not in features:
        features.add("no guidance embedding")
    whole = any(key.startswith(COMPANIONS) for key in header.tensors)
    kind = "checkpoint" if whole else "unet"
    reasons = [f"Its tensors are those of a {sign.base} network ({prefix}{sign.key})."]
    reasons += [f"It has a {feature}." for feature in sorted(features) if feature[:2] != "no"]
    return Structure(sign.base, kind, frozenset(features), tuple(reasons))


class _Module(NamedTuple):
    name: str
    width_in: int | None
    width_out: int | None
    rank: int | None


def _lora_modules(header) -> Iterable[_Module]:
    """The modules a LoRA changes, dots as underscores, with the widths that its shapes tell."""
    shapes = {}
    for key, tensor in header.tensors.items():
        parsed = parse_key(key)
        if parsed is None or parsed.part not in ("down", "up"):
            continue
        pair = shapes.setdefault(parsed.module.replace(".", "_"), {})
        if len(tensor.shape) >= 2:
            pair[parsed.part] = tensor.shape
    for name, pair in shapes.items():
        rank, width_in, *_ = pair.get("down", (None, None))
        yield _Module(name, width_in, pair.get("up", (None,))[0], rank)


def _of_lora(modules):
    for sign in LORAS:
        for module in modules:
            if _shows(sign, module):
                reason = (
                    f"It is a LoRA for {sign.base}: it changes {module.name} and "
                    f"{len(modules) - 1} other modules."
                )
                return Structure(sign.base, "lora", frozenset(), (reason,))
    reason = f"It is a LoRA, and its {len(modules)} modules are of no architecture FewStep knows."
    return Structure(None, "lora", frozenset(), (reason,))


def _is_speed_like(modules, alpha):
    if any(module.rank != SPEED_RANK for module in modules) or not _is_speed_alpha(alpha):
        return False
    kinds = (CONVOLUTION, TIME_LAYER)
    return all(any(re.search(kind, module.name) for module in modules) for kind in kinds)


def _is_speed_alpha(told):
    try:
        return told is None or float(told) == SPEED_ALPHA
    except ValueError:
        # kohya writes None where nobody gave an alpha
        return True


def _shows(sign, module):
    return (
        sign.width_in in (None, module.width_in)
        and sign.width_out in (None, module.width_out)
        and re.search(sign.module, module.name) is not None
    )

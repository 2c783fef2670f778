"""The node that gives a working tiny model with nothing to download."""

from pathlib import Path

from comfy_api.latest import io

from ..demo import weights
from .host import demo as models
from .host import demo_flow
from .host.w_embedding import add_w_embedding
from .loaders import load_lora_file
from .schema import check_choice, schema

TEACHER, LCM_LORA, LCM_UNET = "teacher", "teacher + LCM-LoRA", "LCM UNet"
FLOW = "flow teacher"
# variants without further students, and the part of the demo's weights that is their network
PARTS = {TEACHER: "unet", LCM_LORA: "unet", LCM_UNET: weights.LCM_UNET, FLOW: weights.FLOW}
COND_PROJ = "time_embedding.cond_proj.weight"


def variants() -> list[str]:
    """Those whose weights are there: a model that somebody has trained need not have them all."""
    known = [name for name, part in PARTS.items() if weights.file_of(part).exists()]
    return [*known, *students()]


def students() -> dict[str, Path]:
    """LoRAs of further students, by their variant."""
    found = {}
    for path in sorted(weights.STUDENTS.glob("*.safetensors")):
        teacher = FLOW if path.stem.startswith(weights.OF_FLOW) else TEACHER
        name = path.stem.removeprefix(weights.OF_FLOW).replace("_", " ")
        found[f"{teacher} + {name}"] = path
    return found


def demo_model(variant: str):
    """The demo MODEL, with the LoRA of its variant."""
    part = part_of(variant)
    config, tensors = weights.read_config(part), weights.read_weights(part)
    latents = models.plain_latents(weights.PREVIEW_FACTORS)
    reload = lambda: demo_model(variant)
    if part == weights.FLOW:
        shape = _host_shape_of_flux(config)
        model = demo_flow.flux_model(shape, tensors, latents, weights.FLOW_SHIFT, reload)
    else:
        w_embedding = tensors.pop(COND_PROJ, None)
        model = models.sd_model(_host_shape(config), tensors, latents, reload)
        if w_embedding is not None:
            add_w_embedding(model, w_embedding.float(), weights.GUIDANCE)
    path = lora_of(variant)
    return load_lora_file(model, path, path.name).model if path else model


def part_of(variant: str) -> str:
    """The part of the demo's weights that is the network of a variant."""
    return PARTS[variant if variant in PARTS else variant.split(" + ")[0]]


def lora_of(variant: str) -> Path | None:
    """The file of a variant that is a LoRA on a teacher, else None."""
    return {LCM_LORA: weights.LCM_LORA, **students()}.get(variant)


def _host_shape(config):
    """Diffusers' description of an SD UNet in the words of the host's."""
    channels = config["block_out_channels"]
    per_level = config["layers_per_block"]
    attends = [int(name.startswith("CrossAttn")) for name in config["down_block_types"]]
    return {
        "use_checkpoint": False,
        "image_size": config["sample_size"],
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": channels[0],
        "channel_mult": [c // channels[0] for c in channels],
        "num_res_blocks": [per_level] * len(channels),
        "transformer_depth": [a for a in attends for _ in range(per_level)],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [a for a in attends for _ in range(per_level + 1)],
        "context_dim": config["cross_attention_dim"],
        "num_heads": config["attention_head_dim"],
        "num_head_channels": -1,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "adm_in_channels": None,
        "legacy": False,
    }


def _host_shape_of_flux(config):
    """Diffusers' description of a FLUX transformer in the words of the host's."""
    # the host packs patches of 2 x 2 itself
    channels = config["in_channels"] // 4
    return {
        "in_channels": channels,
        "out_channels": channels,
        "patch_size": 2,
        "vec_in_dim": config["pooled_projection_dim"],
        "context_in_dim": config["joint_attention_dim"],
        "hidden_size": config["num_attention_heads"] * config["attention_head_dim"],
        "mlp_ratio": 4.0,
        "num_heads": config["num_attention_heads"],
        "depth": config["num_layers"],
        "depth_single_blocks": config["num_single_layers"],
        "axes_dim": list(config["axes_dims_rope"]),
        "theta": 10000,
        "qkv_bias": True,
        "guidance_embed": config["guidance_embeds"],
        # words have no places: newer hosts can give them some, for FLUX.2
        "txt_ids_dims": [],
    }


class FewStepDemoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="demo",
            node_id="FewStepDemoModel",
            display_name="Demo Model (FewStep)",
            description=(
                "A tiny Stable Diffusion that ships with FewStep, nothing to download; and a tiny "
                "FLUX, its flow teacher. It draws pictures of 128 x 128 pixels of one or two plain "
                "shapes: 'a red circle left of a small blue square on a gray background'. The "
                f"teacher wants 50 steps at cfg {weights.GUIDANCE:g}, the LCM-LoRA 4 steps at cfg "
                "1."
            ),
            search_aliases=["demo", "example", "tiny", "test model", "lcm", "fast"],
            inputs=[
                io.Combo.Input(
                    "variant",
                    options=variants(),
                    default=LCM_LORA,
                    tooltip=(
                        "teacher: undistilled, 50 steps with cfg. teacher + LCM-LoRA: distilled, 1 "
                        "to 8 steps at cfg 1 with Sampler LCM and Sigmas at spacing lcm. LCM UNet: "
                        "distilled as a whole, takes its guidance from Guidance (FewStep). flow "
                        "teacher: of FLUX's architecture, undistilled, 24 steps with cfg. Others: "
                        "a LoRA of this name, with steps or guidance baked in, at cfg 1."
                    ),
                )
            ],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls, variant) -> io.NodeOutput:
        check_choice("variant", variant, [*PARTS, *students()])
        weights.check_present(part_of(variant), lora_of(variant))
        clip = models.clip_text_model(
            weights.read_config("text_encoder"),
            weights.read_weights("text_encoder"),
            str(weights.TOKENIZER),
        )
        return io.NodeOutput(
            demo_model(variant), clip, models.taesd_vae(weights.read_weights("vae"))
        )

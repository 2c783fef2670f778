"""The node that gives a working tiny model with nothing to download."""

from comfy_api.latest import io

from ..demo import weights
from .host import demo as models
from .schema import schema

TEACHER, LCM_LORA = "teacher", "teacher + LCM-LoRA"


def demo_model(variant: str):
    """The demo MODEL, with the LCM-LoRA applied by the host's own loader where it is asked for."""
    model = models.sd_model(
        _host_shape(weights.read_config("unet")),
        weights.read_weights("unet"),
        models.plain_latents(weights.PREVIEW_FACTORS),
        reload=lambda: demo_model(variant),
    )
    return models.with_lora(model, weights.LCM_LORA) if variant == LCM_LORA else model


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


class FewStepDemoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="demo",
            node_id="FewStepDemoModel",
            display_name="Demo Model (FewStep)",
            description=(
                "A tiny Stable Diffusion that ships with FewStep, nothing to download. It draws "
                "pictures of 128 x 128 pixels of one or two plain shapes: 'a red circle left of a "
                "small blue square on a gray background'. The teacher wants 50 steps at cfg "
                f"{weights.GUIDANCE:g}, the LCM-LoRA 4 steps at cfg 1."
            ),
            search_aliases=["demo", "example", "tiny", "test model", "lcm", "fast"],
            inputs=[
                io.Combo.Input(
                    "variant",
                    options=[TEACHER, LCM_LORA],
                    default=LCM_LORA,
                    tooltip=(
                        "teacher: undistilled, 50 steps with cfg. teacher + LCM-LoRA: distilled, 1 "
                        "to 8 steps at cfg 1 with Sampler LCM and Sigmas at spacing lcm."
                    ),
                )
            ],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls, variant) -> io.NodeOutput:
        weights.check_present()
        clip = models.clip_text_model(
            weights.read_config("text_encoder"),
            weights.read_weights("text_encoder"),
            str(weights.TOKENIZER),
        )
        return io.NodeOutput(
            demo_model(variant), clip, models.taesd_vae(weights.read_weights("vae"))
        )

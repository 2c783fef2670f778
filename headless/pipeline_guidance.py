"""How the pipelines of diffusers are told cfg and guidance, which each has its own words for.

In all of them cfg_scale s is uncond + s (cond - uncond), 1 is off.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# what a network is told instead of guidance by two passes, whatever pipeline it is in
TOLD = "guidance_scale"


class Words(NamedTuple):
    """What a class of pipelines calls its guidance.

    Attributes:
        cfg: the argument for cfg_scale; None where there is none.
        less: what that argument is less than cfg_scale.
        negative: whether there is an argument for a negative prompt.
    """

    cfg: str | None = TOLD
    less: float = 0.0
    negative: bool = True


PIPELINES = {
    **dict.fromkeys(
        (
            "StableDiffusionPipeline",
            "StableDiffusionXLPipeline",
            "StableDiffusion3Pipeline",
            "ChromaPipeline",
            "AuraFlowPipeline",
            "CogView4Pipeline",
            "PixArtAlphaPipeline",
            "PixArtSigmaPipeline",
        ),
        Words(),
    ),
    "FluxPipeline": Words("true_cfg_scale"),
    "QwenImagePipeline": Words("true_cfg_scale"),
    # cond + w (cond - uncond), w = s - 1, off at 0
    "ZImagePipeline": Words(less=1.0),
    "Flux2KleinPipeline": Words(negative=False),
    "Flux2Pipeline": Words(None, negative=False),
    "LatentConsistencyModelPipeline": Words(None, negative=False),
}


class Guided(NamedTuple):
    """How a run is guided.

    Attributes:
        cfg: cfg_scale; above 1 the network is passed twice.
        call: arguments of the pipeline.
    """

    cfg: float
    call: dict[str, Any]


def words_of(pipeline: str) -> Words:
    """Of a class of pipelines.

    Raises:
        ValueError: how it takes its guidance is not known here.
    """
    if pipeline not in PIPELINES:
        raise ValueError(
            f"the folder is for a {pipeline}; allowed are {', '.join(PIPELINES)}. Evaluate other "
            "models in ComfyUI, with Golden Pictures (FewStep)."
        )
    return PIPELINES[pipeline]


def is_told(network: Mapping) -> bool:
    """Whether a network, by its config, is told its guidance."""
    return bool(network.get("guidance_embeds")) or network.get("time_cond_proj_dim") is not None


def guided(pipeline: str, network: Mapping, cfg: float | None, guidance: float | None) -> Guided:
    """What a pipeline is called with.

    Args:
        network: its config.
        cfg: cfg_scale, 1 or above; None is off where the network is told, and a fault elsewhere.
        guidance: what the network is told.

    Raises:
        ValueError: the model cannot have what is given, or needs what is not.
    """
    words, told = words_of(pipeline), is_told(network)
    if told != (guidance is not None):
        there = "is told its guidance" if told else "has no input for it"
        raise ValueError(
            f"guidance is {'missing' if guidance is None else f'{guidance:g}'}, and the network of "
            f"the model {there}. {'Set it' if told else 'Leave it out, and set cfg'}."
        )
    takes_cfg = words.cfg is not None and not (told and words.cfg == TOLD)
    if not takes_cfg and (cfg or 1.0) != 1.0:
        raise ValueError(
            f"cfg is {cfg:g}, and {pipeline} has no such guidance with this network. Leave it out."
        )
    if takes_cfg and cfg is None and not told:
        raise ValueError("cfg is missing. Set it; 1 is off.")
    cfg = cfg or 1.0
    call = {TOLD: guidance} if told else {}
    return Guided(cfg, call | ({words.cfg: cfg - words.less} if takes_cfg else {}))

"""The networks whose attention can be given a negative prompt, and how each of them is."""

from collections.abc import Callable
from typing import NamedTuple

from .negative_joint import check_joint, joint
from .negative_unet import check_unet, cross


class Family(NamedTuple):
    """A kind of network.

    network: name of its class in ComfyUI.
    check: (network, transformer_options) raises a ValueError where it cannot be done.
    guide: (context, Words, transformer_options) -> the two as the pass takes them.
    positions: method that must call patches named post_input, for the tokens of the prompt are
        numbered; None where they have no numbers.
    """

    network: str
    check: Callable
    guide: Callable
    positions: str | None = None


FAMILIES = {
    family.network: family
    for family in (
        Family("comfy.ldm.modules.diffusionmodules.openaimodel.UNetModel", check_unet, cross),
        Family("comfy.ldm.flux.model.Flux", check_joint, joint, "forward_orig"),
        Family("comfy.ldm.chroma.model.Chroma", check_joint, joint),
        Family(
            "comfy.ldm.modules.diffusionmodules.mmdit.OpenAISignatureMMDITWrapper",
            check_joint,
            joint,
        ),
        Family(
            "comfy.ldm.qwen_image.model.QwenImageTransformer2DModel", check_joint, joint, "_forward"
        ),
    )
}
# models that place the picture by the number of the prompt's tokens
UNFIT = ("LongCatImage",)


def family_of(model) -> Family:
    """How the network of a MODEL is given a negative prompt.

    Raises:
        ValueError: it cannot be, or not in this ComfyUI.
    """
    network = type(model.model.diffusion_model)
    family = FAMILIES.get(f"{network.__module__}.{network.__qualname__}")
    name = type(model.model).__name__
    if family is None or name in UNFIT:
        raise ValueError(
            f"model is {name} with the network {network.__name__}, which Negative (FewStep) does "
            "not know; allowed are SD, SDXL, SD3, FLUX, Chroma and Qwen-Image. Connect the sampler "
            "to what stands before this node, and say in the prompt what you want instead."
        )
    if family.positions and not _calls_post_input(getattr(network, family.positions)):
        raise ValueError(
            f"model is {name}, and this ComfyUI cannot number the tokens of a second prompt "
            "for it. Update ComfyUI, or leave Negative (FewStep) out."
        )
    return family


def _calls_post_input(method):
    # the only trace of a hook before a pass has been made
    return "post_input" in method.__code__.co_consts

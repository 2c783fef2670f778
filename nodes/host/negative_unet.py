"""A negative prompt in the cross attention of SD's and SDXL's UNets."""

from functools import partial

import torch
from comfy.ldm.modules.attention import optimized_attention

from .negative_words import Words, origin_of


def blocks_of(network) -> list[tuple[str, int, int]]:
    """The transformer blocks of a UNet as patches_replace names them: part, stage, block."""
    parts = {
        "input": network.input_blocks,
        "middle": [network.middle_block],
        "output": network.output_blocks,
    }
    return [
        (part, stage, block)
        for part, stages in parts.items()
        for stage, layers in enumerate(stages)
        for layer in layers or ()
        for block in range(len(getattr(layer, "transformer_blocks", ())))
    ]


def check_unet(network, options: dict) -> None:
    """Refuse a UNet for video, and cross attention that another node has replaced.

    Args:
        options: transformer_options.

    Raises:
        ValueError: one of the two.
    """
    if any(hasattr(module, "time_stack") for module in network.modules()):
        raise ValueError(
            "model is a UNet for video, which looks at a picture instead of a prompt; allowed are "
            "UNets for pictures, such as SD and SDXL. Leave Negative (FewStep) out."
        )
    taken = options.get("patches_replace", {}).get("attn2", {})
    for part, stage, block in blocks_of(network):
        # ComfyUI looks for one block of a stage first, then for all of them
        for place in ((part, stage, block), (part, stage)):
            if place in taken:
                raise ValueError(
                    f"the cross attention of block {place} is replaced by "
                    f"{origin_of(taken[place])}, a part of another node; Negative (FewStep) needs "
                    "it free. Take one of the two nodes out."
                )


def cross(context: torch.Tensor, words: Words, options: dict) -> tuple[torch.Tensor, dict]:
    """A UNet pass in which the picture looks at both prompts in every cross attention.

    Args:
        context: [rows, tokens, channels] of the prompt.
        options: transformer_options of the pass; not changed.

    Returns:
        The same context, and the options with our patches.
    """
    patches, replaced = options.get("patches", {}), options.get("patches_replace", {})
    attention = partial(_attention, words)
    slots = dict.fromkeys(blocks_of(words.network), attention)
    # after the patches of others, so that our tokens are the last ones
    appended = [*patches.get("attn2_patch", ()), partial(_append, words)]
    return context, {
        **options,
        "patches": {**patches, "attn2_patch": appended},
        "patches_replace": {**replaced, "attn2": {**replaced.get("attn2", {}), **slots}},
    }


def _append(words, x, context, value, options):
    negative = words.negative.to(context)
    return x, torch.cat([context, negative], dim=1), torch.cat([value, negative], dim=1)


def _attention(words, q, k, v, options):
    attend = partial(
        optimized_attention,
        heads=options["n_heads"],
        attn_precision=options["attn_precision"],
        transformer_options=options,
    )
    split = k.shape[1] - words.negative.shape[1]
    positive = attend(q, k[:, :split], v[:, :split])
    return words.guided(positive, attend(q, k[:, split:], v[:, split:]))

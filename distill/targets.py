"""Which layers of a network are trained, by patterns of their names.

Published LoRAs of distilled UNets change every linear layer and convolution of the repeated blocks
(latent-consistency/lcm-lora-sdxl: attention, feed forward, convolutions, time embedding of each
block), those of transformers every linear layer of theirs, modulation included. No pattern means
just that.
"""

from fnmatch import fnmatchcase

from torch import nn


def choose(root: nn.Module, patterns: str = "") -> dict[str, nn.Module]:
    """Linear layers and convolutions of the network's repeated blocks, by dotted path.

    Args:
        patterns: words with commas between, such as "attn, ff"; a layer whose path has one of them
            in it is taken. * stands for anything, ! before a word leaves out. Empty takes all.

    Raises:
        ValueError: a pattern fits no layer.
    """
    layers = {
        f"{block}.{path}".strip("."): layer
        for block, module in _blocks(root)
        for path, layer in module.named_modules()
        if _can_change(layer)
    }
    words = [word.strip() for word in patterns.split(",") if word.strip()]
    for word in words:
        if not any(_fits(path, word.removeprefix("!")) for path in layers):
            raise ValueError(
                f"layers has the pattern {word!r}, which fits none of the {len(layers)} layers "
                f"of this network; allowed are parts of names like {_examples(layers)}."
            )
    wanted = [word for word in words if word[0] != "!"] or [""]
    unwanted = [word[1:] for word in words if word[0] == "!"]
    return {
        path: layer
        for path, layer in layers.items()
        if any(_fits(path, word) for word in wanted)
        and not any(_fits(path, word) for word in unwanted)
    }


def repeated_blocks(root: nn.Module) -> list[nn.Module]:
    """The blocks whose inner results need not be kept for the gradient.

    ComfyUI's UNets go through the children of a block by themselves and never call the block, so
    the children of such sequences stand here instead.
    """
    found = []
    for _, block in _blocks(root):
        found.extend(block.children() if isinstance(block, nn.Sequential) else [block])
    return [block for block in found if any(True for _ in block.parameters())]


def _blocks(root):
    """Members of the outermost lists, and what stands beside them under a name of its own kind."""
    lists = [name for name, module in root.named_modules() if isinstance(module, nn.ModuleList)]
    outermost = [name for name in lists if not any(_inside(name, other) for other in lists)]
    for name in outermost:
        for i, block in enumerate(root.get_submodule(name)):
            # a UNet's first block is its input layer, which published LoRAs leave alone
            first = next(block.children(), block) if isinstance(block, nn.Sequential) else block
            if not _can_change(first):
                yield f"{name}.{i}", block
    # a UNet's middle is one block, not a list
    for name, block in root.named_children():
        if name in ("middle_block", "mid_block") and block is not None:
            yield name, block


def _inside(name, other):
    return name != other and name.startswith(f"{other}.")


def _can_change(layer):
    is_convolution = isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return isinstance(layer, nn.Linear) or (is_convolution and layer.groups == 1)


def _fits(path, word):
    return fnmatchcase(path, f"*{word}*")


def _examples(layers):
    ends = list(dict.fromkeys(".".join(path.split(".")[-2:]) for path in layers))
    return ", ".join(ends[:4])

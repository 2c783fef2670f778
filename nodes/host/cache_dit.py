"""A transformer of which the blocks in the middle may be left out of a step.

First block cache of chengzeyi/ParaAttention, DBCache of vipshop/cache-dit: blocks at the front and
at the back are always computed, and what those in between added at an earlier step is added again.
"""

from functools import partial

import torch
from comfy.patcher_extension import WrappersMP

from ...cache.policy import FIXED
from .wrapping import wrap_run

DOUBLE, SINGLE = "double_block", "single_block"
# the streams of tokens that a block may change
STREAMS = ("img", "txt")
# by the network's class: its lists of blocks in their order, and the name that patches know them by
LISTS = {
    "Flux": (("double_blocks", DOUBLE), ("single_blocks", SINGLE)),
    "Chroma": (("double_blocks", DOUBLE), ("single_blocks", SINGLE)),
    "HunyuanVideo": (("double_blocks", DOUBLE), ("single_blocks", SINGLE)),
    "MMDiT": (("double_layers", DOUBLE), ("single_layers", SINGLE)),
    "OpenAISignatureMMDITWrapper": (("joint_blocks", DOUBLE),),
    "QwenImageTransformer2DModel": (("transformer_blocks", DOUBLE),),
    "LTXVModel": (("transformer_blocks", DOUBLE),),
    "WanModel": (("blocks", DOUBLE),),
    "VaceWanModel": (("blocks", DOUBLE),),
    "CameraWanModel": (("blocks", DOUBLE),),
}
# blocks that Chroma's network has and does not run
LEFT_OUT = {"double_blocks": "skip_mmdit", "single_blocks": "skip_dit"}


def blocks_of(network) -> list[tuple[str, int]]:
    """The names of a network's blocks in the order they run; none where they cannot be reached."""
    names = []
    for attribute, kind in LISTS.get(type(network).__name__, ()):
        idle = getattr(network, LEFT_OUT.get(attribute, ""), ())
        count = len(getattr(network, attribute))
        names += [(kind, i) for i in range(count) if i not in idle]
    return names


class DitBlocks:
    """The blocks of a transformer in one sampling run."""

    def __init__(self, network, front: int, back: int, reuse):
        """front, back: how many blocks at either end are always computed."""
        self.names = blocks_of(network)
        self.reuse, self.front = reuse, front
        self.end = max(len(self.names) - back, front)
        self.keys, self.reuses = [], False
        self._entered, self._added = {}, {}

    @property
    def can_skip(self) -> bool:
        """Whether any block is left that is not always computed."""
        return self.end > self.front

    def put_up(self, guider, key: str) -> None:
        """Work in the run that has just begun.

        Raises:
            ValueError: another node has put something in the place of a block.
        """
        replaced = guider.model_options["transformer_options"].setdefault("patches_replace", {})
        places = replaced.setdefault("dit", {})
        for index, name in enumerate(self.names):
            if name in places:
                raise ValueError(
                    f"model has a node that replaces {name[0]} {name[1]} of its network, and the "
                    "cache needs that place. Remove one of the two."
                )
            places[name] = partial(self._block, index)
        wrap_run(guider, WrappersMP.APPLY_MODEL, key, self._apply_model)

    def _apply_model(self, executor, x, t, concat, context, control, options, **conditions):
        self.keys = self.reuse.keys(options["uuids"], x)
        is_fixed = self.reuse.policy.kind == FIXED
        self.reuses = is_fixed and self.reuse.decide(self.keys)
        made = executor(x, t, concat, context, control, options, **conditions)
        skipped = self.end - self.front if self.reuses else 0
        self.reuse.count(self.keys, self.reuses, len(self.names) - skipped, len(self.names))
        self._entered, self._added = {}, {}
        return made

    @torch.compiler.disable(recursive=False)
    def _block(self, index, args, extra):
        if index < self.front:
            return self._front(index, args, extra["original_block"])
        if index >= self.end:
            return extra["original_block"](args)
        return self._middle(index, args, extra["original_block"])

    @torch.compiler.disable(recursive=False)
    def _front(self, index, args, original):
        if index == 0:
            self._entered["front"] = args["img"].clone()
        out = original(args)
        if index == self.front - 1 and self.reuse.policy.kind != FIXED:
            before, now = self._entered["front"], out["img"]
            # where the streams have been joined since, the state itself is compared
            signal = now - before if now.shape == before.shape else now
            self.reuses = self.reuse.judge(self.keys, signal)
        return out

    @torch.compiler.disable(recursive=False)
    def _middle(self, index, args, original):
        kind = self.names[index][0]
        if index == self.front or self.names[index - 1][0] != kind:
            self._entered |= {(kind, s): args[s].clone() for s in _streams(args, kind)}
        is_last = index == self.end - 1 or self.names[index + 1][0] != kind
        if self.reuses:
            return self._again(kind, args) if is_last else dict(args)
        out = original(args)
        if is_last:
            for stream in _streams(out, kind):
                self._added[f"{kind} {stream}"] = out[stream] - self._entered[kind, stream]
            if index == self.end - 1:
                self.reuse.keep(self.keys, **self._added)
        return out

    @torch.compiler.disable(recursive=False)
    def _again(self, kind, args):
        """What the blocks of a kind gave: what came in, and what they added at an earlier step."""
        made = dict(args)
        for stream in _streams(args, kind):
            entered = self._entered[kind, stream]
            if self.reuse.has(self.keys, f"{kind} {stream}"):
                made[stream] = entered + self.reuse.recall(self.keys, f"{kind} {stream}")
        return made


def _streams(args, kind):
    # single blocks have both streams in one
    names = STREAMS if kind == DOUBLE else STREAMS[:1]
    return [name for name in names if args.get(name) is not None]

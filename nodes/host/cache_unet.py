"""A UNet of which the deep blocks may be left out of a step.

Ma et al., "DeepCache: Accelerating Diffusion Models for Free", arXiv:2312.00858: the outer blocks
are always computed, and what the inner ones gave at an earlier step takes their place. Views of the
network that hold fewer blocks run ComfyUI's own forward pass, so that its patches, ControlNets and
LoRAs work in them as in the whole.
"""

import copy

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import TimestepEmbedSequential
from comfy.patcher_extension import WrapperExecutor, WrappersMP

from ...cache.policy import FIXED
from .wrapping import wrap_run

DEEP = "deep"


class _Noted(torch.nn.Module):
    """Passes on what comes, and keeps a copy that nobody changes."""

    def forward(self, x):
        self.output = x.clone()
        return x


class _Given(torch.nn.Module):
    """Gives what was noted, whatever comes."""

    def __init__(self, noted):
        super().__init__()
        self.noted = noted

    def forward(self, x):
        return self.noted.output


class UNetBlocks:
    """The blocks of a UNet in one sampling run."""

    def __init__(self, network, depth: int, reuse):
        """depth: how many input blocks, and as many output blocks, are always computed."""
        inputs, outputs = list(network.input_blocks), list(network.output_blocks)
        self.reuse, self.depth, self.hidden = reuse, depth, len(outputs) - depth
        self.total = len(inputs) + len(outputs) + 1
        noted = [_Noted() for _ in range(depth)]
        given = [TimestepEmbedSequential(_Given(one)) for one in noted]
        noting = [TimestepEmbedSequential(*inputs[i], noted[i]) for i in range(depth)]
        outer = outputs[self.hidden :]
        self.front = _view(network, noting, (), (), torch.nn.Identity())
        self.rest = _view(network, given + inputs[depth:], network.middle_block, outputs)
        self.outer = _view(network, given, (), outer)
        self.whole, self.outer_alone = network, _view(network, inputs[:depth], (), outer)

    @property
    def can_skip(self) -> bool:
        """Whether any block is left that is not always computed."""
        return self.hidden > 0

    def put_up(self, guider, key: str) -> None:
        """Work in the run that has just begun."""
        wrap_run(guider, WrappersMP.DIFFUSION_MODEL, key, self._forward)

    @torch.compiler.disable(recursive=False)
    def _forward(
        self,
        executor,
        x,
        timesteps=None,
        context=None,
        y=None,
        control=None,
        transformer_options=None,
        **others,
    ):
        keys = self.reuse.keys(transformer_options["uuids"], x)

        def run(view, control, options):
            rest = executor.wrappers, executor.idx + 1
            next_one = WrapperExecutor.new_class_executor(view._forward, view, *rest)
            return next_one.execute(x, timesteps, context, y, control, options, **others)

        is_fixed = self.reuse.policy.kind == FIXED
        if is_fixed:
            reuses = self.reuse.decide(keys)
        else:
            signal = run(self.front, _copied(control), dict(transformer_options))
            reuses = self.reuse.judge(keys, signal)
        self.reuse.count(keys, reuses, 2 * self.depth if reuses else self.total, self.total)
        if reuses:
            options = _with_patch(transformer_options, self._put(self.reuse.recall(keys, DEEP)))
            view = self.outer_alone if is_fixed else self.outer
            return run(view, _of_outer(control, self.hidden), options)
        options = _with_patch(transformer_options, self._note(keys))
        return run(self.whole if is_fixed else self.rest, control, options)

    def _note(self, keys):
        def note(h, hsp, options):
            if options["block"] == ("output", self.hidden):
                self.reuse.keep(keys, **{DEEP: h.clone()})
                self.transformer_index = options["transformer_index"]
            return h, hsp

        return note

    def _put(self, deep):
        def put(h, hsp, options):
            number = options["block"][1]
            if number == 0:
                h, options["transformer_index"] = deep, self.transformer_index
            # the patches that follow, and the blocks, go by the numbers of the whole network
            options["block"] = ("output", number + self.hidden)
            return h, hsp

        return put


def _view(network, inputs, middle, outputs, out=None):
    """The same network with other blocks; nothing of it is copied."""
    view = copy.copy(network)
    blocks = {
        "input_blocks": torch.nn.ModuleList(inputs),
        "middle_block": TimestepEmbedSequential(*(middle or ())),
        "output_blocks": torch.nn.ModuleList(outputs),
        "out": out or network.out,
    }
    view.__dict__["_modules"] = {**network._modules, **blocks}
    return view


def _with_patch(options, patch):
    patches = options.get("patches", {})
    ours = {"output_block_patch": [patch, *patches.get("output_block_patch", [])]}
    return {**options, "patches": {**patches, **ours}}


def _copied(control):
    # the core takes from the ends of these lists as it goes through the blocks
    return control and {name: list(values) for name, values in control.items()}


def _of_outer(control, hidden):
    """What a ControlNet gives to the blocks that are computed."""
    if not control:
        return control
    kept = _copied(control)
    outputs = kept.get("output", [])
    return {**kept, "middle": [], "output": outputs[: max(len(outputs) - hidden, 0)]}

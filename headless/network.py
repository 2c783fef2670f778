"""A diffusers network as one that can be trained for: `distill.network.Network`.

Its numbers stay in the format that they were loaded in, bfloat16 say, and it computes in that; LoRA
and estimates are float32.
"""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..diffusion.prediction import Prediction
from ..diffusion.process import VE
from ..distill.fingerprint import add_tensor, add_weights
from ..distill.hooks import Hooks
from ..distill.targets import choose
from ..guidance.embedded import COND_PROJ
from .blocks import blocks
from .families import family_of


class DiffusersNetwork:
    """A frozen network, and the conditions it is asked under.

    Args:
        model: of a class that families.py knows, on its device and in eval mode; its weights are
            frozen.
        prediction: what its output means.
        conditions: [rows + 1, ...] by name, see families.py; the last row is the negative. They may
            stay on the CPU: each pass moves what it needs.
        of_sizes: further conditions by each (height, width) of latents, where a network of several
            sizes is told them; no part of the fingerprint, since data of a size are of one shape.
        table: rising VE levels of an undistilled UNet's timesteps; None for flow models.
        guidance: what a model like FLUX.1-dev is told where a pass says nothing; None for others.
        layers: patterns of what is to be trained, as `distill.targets.choose` reads them; a UNet's
            input for guidance is always among it.
        is_checkpointed: compute blocks twice instead of keeping what is between.

    Raises:
        ValueError: the class is unknown, a pattern fits nothing, or conditions, table or guidance
            are not what the network needs.
    """

    def __init__(
        self,
        model: nn.Module,
        prediction: Prediction,
        conditions: Mapping[str, torch.Tensor],
        of_sizes: Mapping[tuple[int, int], Mapping[str, torch.Tensor]] | None = None,
        *,
        table: Sequence[float] | None = None,
        guidance: float | None = None,
        layers: str = "",
        is_checkpointed: bool = False,
    ):
        self._family = family_of(model)
        self._prediction, self._conditions = prediction, dict(conditions)
        self._guidance, self._of_sizes = guidance, of_sizes or {}
        self.process, self.table = self._family.process, table
        for size in self._of_sizes or [None]:
            _check(model, self._family, self._told_at(size), table, guidance)
        self.rows = len(self._conditions["states"]) - 1
        self.model = model.requires_grad_(False)
        self.device = next(model.parameters()).device
        self.hooks = Hooks(_layers(model, layers), blocks(model) if is_checkpointed else ())
        self.fingerprint = self._digest()

    def denoise(self, x, sigma, rows, guidance=None) -> torch.Tensor:
        """As `Network.denoise`."""
        x = x.to(self.device, torch.float32)
        levels = sigma.to(x).view(-1, *[1] * (x.ndim - 1))
        conditions = self._told_at(tuple(x.shape[-2:]))
        given = {name: self._given(values, rows) for name, values in conditions.items()}
        told = self._told(guidance, x)
        output = self._family.predict(self.model, x, levels, self.table, told, **given)
        return self._prediction.to_denoised(x, output, levels)

    def _told_at(self, size):
        """Conditions of latents of this (height, width)."""
        return {**self._conditions, **self._of_sizes[size]} if self._of_sizes else self._conditions

    def _given(self, values, rows):
        return values[rows.cpu()].to(self.device, self.model.dtype)

    def _told(self, guidance, x):
        if guidance is not None:
            return guidance.to(x)
        # a UNet with an input for it hears 1, which is none, as it does in ComfyUI
        told = 1.0 if COND_PROJ in self.hooks.layers else self._guidance
        return None if told is None else x.new_full((len(x),), told)

    def _digest(self):
        """Equal for equal weights, levels and conditions; of a large weight a part is read."""
        digest = hashlib.sha256()
        # zeros ignore guidance as a network without this input does
        add_weights(digest, self.model, without=COND_PROJ)
        last = f"{self.table[-1]:.6g}" if self.table else "no table"
        digest.update(f"{self._prediction.name} {self._guidance} {last}".encode())
        for name in sorted(self._conditions):
            add_tensor(digest, self._conditions[name])
        return digest.hexdigest()


def _layers(model, patterns):
    modules = dict(model.named_modules())
    told = {COND_PROJ: modules[COND_PROJ]} if COND_PROJ in modules else {}
    return choose(model, patterns) | told


def _check(model, family, conditions, table, guidance):
    wanted = family.conditions(model)
    if set(conditions) != set(wanted) or len({len(v) for v in conditions.values()}) != 1:
        shapes = {name: tuple(values.shape) for name, values in conditions.items()}
        raise ValueError(
            f"conditions are {shapes}; a {type(model).__name__} takes {', '.join(wanted)}, as many "
            "rows of each. Encode the prompts with the text encoders of this model."
        )
    if len(conditions["states"]) < 2:
        raise ValueError("there are no prompts; allowed is one or more, and the negative.")
    if (table is None) == (family.process is VE):
        raise ValueError(
            f"table is {'missing' if table is None else 'given'}; a {type(model).__name__} is of "
            f"the process {family.process.name}. UNets have a table of levels, flow models none."
        )
    if (guidance is None) == bool(getattr(model.config, "guidance_embeds", False)):
        raise ValueError(
            f"guidance is {guidance}; models like FLUX.1-dev must be told one (3.5 is usual), "
            "and others have no input for it. Set [model] guidance, or leave it out."
        )

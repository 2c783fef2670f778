"""CONDITIONING of many prompts as the rows that a network in training is asked for."""

import comfy.samplers
import torch
from comfy.sampler_helpers import convert_cond

from ...distill.network import NEGATIVE

# what core's sampling does with an entry that a single pass of the network cannot
UNTRAINABLE = ("area", "mask", "control", "gligen", "hooks", "start_percent", "end_percent")


class Rows:
    """One entry of CONDITIONING for each row, ready for a MODEL.

    Made out of inference mode: what a prompt's text encoder made in it is copied.

    Args:
        network: the BaseModel of the MODEL.
        positive: one CONDITIONING for each row.
        negative: CONDITIONING that guidance leads away from.

    Raises:
        ValueError: there is no row; or one has no or several entries, or parts that a training
            cannot have.
    """

    def __init__(self, network, positive: list, negative):
        if not positive:
            raise ValueError("there are no prompts; connect Prompts (FewStep), or a prompt.")
        named = [(f"prompt {i + 1}", entry) for i, entry in enumerate(positive)]
        self.network = network
        self._entries = [_copied(_only(entry, name)) for name, entry in named]
        self._negative = _copied(_only(negative, "negative"))
        self._encoded = {}

    def __len__(self) -> int:
        return len(self._entries)

    def batches(self, rows: list[int], shape):
        """(places in the batch, conditions of theirs) for as few passes as the rows allow.

        Args:
            shape: [B, C, ...] of the latents.
        """
        left = [(place, self._condition(row, shape)) for place, row in enumerate(rows)]
        while left:
            first = left[0][1]
            fit = [comfy.samplers.cond_equal_size(first, condition) for _, condition in left]
            group = [entry for entry, fits in zip(left, fit, strict=True) if fits]
            left = [entry for entry, fits in zip(left, fit, strict=True) if not fits]
            places, conditions = zip(*group, strict=True)
            yield list(places), comfy.samplers.cond_cat(list(conditions))

    def tensors(self):
        """Every tensor of every row, for a fingerprint."""
        for entry in (self._negative, *self._entries):
            yield from _tensors(entry)

    def _condition(self, row, shape):
        key = row, tuple(shape[1:])
        if key not in self._encoded:
            entry = self._negative if row == NEGATIVE else self._entries[row]
            self._encoded[key] = self._encode(entry, row == NEGATIVE, shape)
        return self._encoded[key]

    def _encode(self, entry, is_negative, shape):
        # on the CPU, since there may be thousands of them
        device, kind = torch.device("cpu"), "negative" if is_negative else "positive"
        noise = torch.zeros(1, *shape[1:])
        made = comfy.samplers.process_conds(
            self.network, noise, {kind: convert_cond([entry])}, device, torch.zeros_like(noise)
        )
        conditions = made[kind][0]["model_conds"]
        return {
            name: condition.process_cond(batch_size=1, area=None)
            for name, condition in conditions.items()
        }


def _only(conditioning, name):
    if len(conditioning) != 1:
        raise ValueError(
            f"{name} has {len(conditioning)} entries; training takes one. Leave out Conditioning "
            "(Combine) and regions."
        )
    ((_, options),) = conditioning
    if wrong := [part for part in UNTRAINABLE if options.get(part) is not None]:
        raise ValueError(
            f"{name} has {', '.join(wrong)}; training takes plain prompts only. Connect what a "
            "text encoder gives."
        )
    return conditioning[0]


def _copied(value):
    if torch.is_tensor(value):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(part) for part in value)
    return value


def _tensors(value):
    if torch.is_tensor(value):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)

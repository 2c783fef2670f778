"""A MODEL as a network that can be trained for, with gradients, beside whatever ComfyUI runs.

ComfyUI executes nodes in inference mode, and what is made there can have no gradient. Weights that
were loaded there are therefore replaced by equal ones, conditions are copied, and attention is
PyTorch's own, since faster ones have no backward (comfy/ldm/modules/attention.py).
"""

import hashlib
from contextlib import ExitStack, contextmanager

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.patcher_extension import merge_nested_dicts
from torch import nn

from ...diffusion.process import VE
from ...distill.fingerprint import add_tensor, add_weights
from ...distill.hooks import Hooks
from ...distill.targets import choose, repeated_blocks
from ...guidance.embedded import COND_PROJ, WIDTH
from .rows import Rows
from .sampling import process_of, sampling_of, undistilled_table
from .w_embedding import GUIDANCE, time_width, with_w_embedding


class HostNetwork:
    """A loaded MODEL as `distill.network.Network`."""

    def __init__(self, model, rows: Rows, hooks: Hooks):
        sampling = sampling_of(model)
        self.process, scale = process_of(sampling)
        self.table = undistilled_table(sampling) if self.process is VE else None
        if scale != 1.0:
            raise ValueError(
                f"model scales its noise by {scale:g}, which training does not know; it trains "
                "eps, v, x0 and flow models that do not."
            )
        self.model, self.hooks = model, hooks
        self.rows, self._rows = len(rows), rows
        self.device = model.load_device
        self.fingerprint = _fingerprint(model.model, rows)
        self._options = _options(model)

    def denoise(self, x, sigma, rows, guidance=None) -> torch.Tensor:
        """As `Network.denoise`; conditions that cannot share a batch run one after the other."""
        x, sigma = x.to(self.device), sigma.to(self.device)
        denoised, parts = [None] * len(x), []
        for places, conditions in self._rows.batches(rows.tolist(), x.shape):
            told = None if guidance is None else guidance[places].to(self.device)
            part = self._apply(x[places], sigma[places], conditions, told)
            for place, one in zip(places, part, strict=True):
                denoised[place] = one
            parts.append(places)
        if len(parts) > 1:
            self.hooks.in_order(parts)
        return torch.stack(denoised).float()

    def _apply(self, x, sigma, conditions, told):
        moved = {name: _to(value, self.device) for name, value in conditions.items()}
        options = {**self._options, "sigmas": sigma.detach()}
        if told is not None:
            options[GUIDANCE] = told
        return self.model.model.apply_model(x, sigma, transformer_options=options, **moved)


@contextmanager
def network_of(
    model,
    positive,
    negative,
    layers: str = "",
    *,
    is_checkpointed: bool = False,
    is_told: bool = False,
):
    """Load a MODEL and give it as a network, out of inference mode; afterwards it is as before.

    Args:
        positive: CONDITIONING of each row.
        negative: CONDITIONING that guidance leads away from.
        layers: patterns of what is to be trained, as `distill.targets.choose` reads them.
        is_checkpointed: compute blocks twice instead of keeping what is between.
        is_told: give a UNet an input for guidance, which the teacher ignores, and have it trained.

    Raises:
        ValueError: a pattern fits nothing, or the MODEL cannot be trained.
    """
    if getattr(model, "is_dynamic", lambda: False)():
        # weights that come and go while a gradient needs them
        model = model.clone(disable_dynamic=True)
    told = {}
    if is_told:
        told[COND_PROJ] = _silent_projection(model)
        model = with_w_embedding(model, told[COND_PROJ], guidance=1.0)
    comfy.model_management.load_models_gpu([model], force_full_load=True)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(_in_training())
        network = model.model.diffusion_model
        leave_inference(network)
        blocks = repeated_blocks(network) if is_checkpointed else ()
        hooks = Hooks({**choose(network, layers), **told}, blocks)
        stack.callback(hooks.close)
        yield HostNetwork(model, Rows(model.model, positive, negative), hooks)


def _silent_projection(model):
    """A layer for the guidance that gives zeros."""
    with torch.inference_mode(False):
        linear = nn.utils.skip_init(nn.Linear, WIDTH, time_width(model), bias=False)
        nn.init.zeros_(linear.weight)
        return linear.requires_grad_(False).to(model.load_device)


def leave_inference(network: nn.Module) -> None:
    """Replace every weight that was made in inference mode by an equal one that was not."""
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.is_inference():
                module._parameters[name] = nn.Parameter(weight.clone(), requires_grad=False)
            weight.requires_grad_(False)
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_inference():
                module._buffers[name] = buffer.clone()


@contextmanager
def _in_training():
    """Keep fused operations without a gradient away, where this ComfyUI has any."""
    management = comfy.model_management
    if not hasattr(management, "in_training"):
        yield
        return
    before, management.in_training = management.in_training, True
    try:
        yield
    finally:
        management.in_training = before


def _fingerprint(network, rows):
    """Equal for equal weights, schedule and conditions; of a large weight a part is read."""
    digest = hashlib.sha256()
    add_weights(digest, network.diffusion_model)
    for level in (0.1, 0.5, 0.9):
        digest.update(f"{float(network.model_sampling.percent_to_sigma(level)):.6g}".encode())
    for tensor in rows.tensors():
        add_tensor(digest, tensor)
    return digest.hexdigest()


def _to(value, device):
    if torch.is_tensor(value):
        return value.to(device)
    return [_to(part, device) for part in value] if isinstance(value, list) else value


def _options(model):
    """transformer_options as a sampling run has them, with attention that has a gradient."""
    options = dict(model.model_options.get("transformer_options", {}))
    for name, added in (("wrappers", model.wrappers), ("callbacks", model.callbacks)):
        both = merge_nested_dicts(options.get(name, {}), added)
        options[name] = {kind: dict(keyed) for kind, keyed in both.items()}
    options["optimized_attention_override"] = lambda chosen, *args, **kwargs: attention_pytorch(
        *args, **kwargs
    )
    return options

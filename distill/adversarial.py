"""Adversarial distillation: small heads on the frozen teacher's features tell real from generated.

Sauer et al., "Adversarial Diffusion Distillation" (ADD), arXiv:2311.17042, and "Latent Adversarial
Diffusion Distillation" (LADD), arXiv:2403.12015, whose heads judge the teacher's own features; Lin
et al., "SDXL-Lightning", arXiv:2402.13929. How features are taken from a network is not known here.
In the discriminator's turn they are to be taken without a gradient, in the student's with one.
"""

import torch
from torch import nn
from torch.nn.functional import layer_norm, relu, silu, softplus

from .precision import exact

KINDS = ("hinge", "non-saturating")


class Heads(nn.Module):
    """A head for each layer of features; each gives one logit for a picture.

    Args:
        widths: channels of each layer.
        hidden: inner width of a head.
        process: VE or FLOW.
        generator: draws the weights.
    """

    def __init__(self, widths, hidden: int, process, generator):
        super().__init__()
        self.process = process
        self.heads = nn.ModuleList(_Head(width, hidden, generator) for width in widths)

    def forward(self, features, sigma):
        """Judge noisy pictures by the features that the teacher has of them.

        Args:
            features: for each layer [B, C, ...] of convolutions, or [B, tokens, C].
            sigma: [B, 1, ...] level of the pictures the teacher was shown.

        Returns:
            [B, layers] logits, high for real.

        Raises:
            ValueError: the layers are not as many, or not as wide, as there are heads for.
        """
        if len(features) != len(self.heads):
            raise ValueError(
                f"features come from {len(features)} layers and there are {len(self.heads)} heads. "
                "Make the heads for the layers that are looked at."
            )
        alpha = self.process.alpha(sigma)
        level = torch.stack([alpha.flatten(), sigma.flatten()], dim=1)
        level = level / level.norm(dim=1, keepdim=True)
        logits = [head(x, level) for head, x in zip(self.heads, features, strict=True)]
        return torch.cat(logits, dim=1)


class _Head(nn.Module):
    def __init__(self, width, hidden, generator):
        super().__init__()
        self.inner = _linear(width, hidden, generator)
        self.level = _linear(2, hidden, generator)
        self.outer = _linear(hidden, 1, generator)

    def forward(self, x, level):
        width, dtype = self.inner.in_features, self.inner.weight.dtype
        # convolutions have their channels before the places, tokens after
        places = x.flatten(2).mT if x.ndim > 3 else x
        if places.shape[-1] != width:
            raise ValueError(
                f"a layer's features are {list(x.shape)}; its head is for {width} channels. Make "
                "the heads for the layers that are looked at."
            )
        # a network's features may be of any size; heads see their direction
        places = layer_norm(places.to(dtype), (width,))
        inner = silu(self.inner(places) + self.level(level.to(dtype))[:, None])
        return self.outer(inner.mean(dim=1))


def discriminator_loss(real_logits, fake_logits, kind):
    """What the heads learn: logits high for real and low for generated.

    Args:
        real_logits, fake_logits: [B, ...] of the heads.
        kind: "hinge" (ADD, LADD) or "non-saturating" (Lightning; Goodfellow et al.,
            arXiv:1406.2661).

    Returns:
        [B] loss of each pair, the mean over its logits.

    Raises:
        ValueError: there is no such kind.
    """
    if _is_hinge(kind):
        return _mean(relu(1 - real_logits) + relu(1 + fake_logits))
    return _mean(softplus(-real_logits) + softplus(fake_logits))


def generator_loss(fake_logits, kind):
    """What the student learns: logits high for generated.

    Arguments, result and errors as `discriminator_loss`.
    """
    return _mean(-fake_logits if _is_hinge(kind) else softplus(-fake_logits))


def approximate_r1(discriminator, real, real_logits, noise, std):
    """|D(real + std noise) - D(real)|^2 / std^2, in expectation |gradient of D|^2 for small std.

    R1 without a second derivative: Lin et al., "Diffusion Adversarial Post-Training",
    arXiv:2501.08316, equation 9, over std^2, so that its strength does not hang on std. Their
    strength of 100 at std 0.01 is 0.01 here.

    Args:
        discriminator: x -> logits [B, ...].
        real: [B, C, ...] real samples.
        real_logits: [B, ...] discriminator(real).
        noise: [B, C, ...] standard normal.
        std: size of the step.

    Returns:
        [B], the mean over each sample's logits.
    """
    step = discriminator(real + std * noise) - real_logits
    return _mean((step / std).square())


def distillation_loss(generated, teacher, draw, *, process):
    """ADD's second term: squared distance to what the teacher makes of the noised sample.

    Equation 4 of arXiv:2311.17042 with its exponential weighting, the alpha of the
    variance-preserving form.

    Args:
        generated: [B, C, ...] x0 estimate of the student; it alone is given a gradient.
        teacher: (x, sigma) -> x0 estimate.
        draw: `matching.Draw`, noise and level for the teacher.
        process: VE or FLOW.

    Returns:
        [B] loss of each sample, the mean over its elements.
    """
    alpha = process.alpha(draw.sigma)
    with torch.no_grad():
        wanted = exact(teacher(process.mix(generated, draw.noise, draw.sigma), draw.sigma))
    loudness = alpha / torch.hypot(alpha, draw.sigma)
    return _mean(loudness * (generated - wanted).square())


def _linear(inputs, outputs, generator):
    # as nn.Linear starts, without drawing from the global generator
    linear = torch.nn.utils.skip_init(nn.Linear, inputs, outputs)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
    return linear


def _is_hinge(kind):
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; allowed is {' or '.join(map(repr, KINDS))}.")
    return kind == "hinge"


def _mean(x):
    return x.flatten(1).mean(dim=1)

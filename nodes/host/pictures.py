"""Pictures of a student in training, made by the sampler that its users will run."""

import comfy.utils
import torch

from . import runs


@torch.no_grad()
def sampled(plans, positive, negative, seeds, shape, network) -> torch.Tensor:
    """Clean latents [B, C, ...] as the network is trained on them.

    Args:
        plans: of each picture model, sampler, sigmas and cfg, as `nodes.plan.plan` makes them.
        positive: CONDITIONING of each picture.
        seeds: of each picture.
        shape: [C, ...] of a latent.
        network: the HostNetwork whose hooks hold the student.
    """
    made = []
    for plan, conditioning, seed in zip(plans, positive, seeds, strict=True):
        empty = {"samples": torch.zeros(1, *shape)}
        latent = runs.sample(*plan, conditioning, negative, empty, seed)
        made.append(network.model.model.process_latent_in(latent["samples"]))
    return torch.cat(made).float().cpu()


@torch.no_grad()
def side_by_side(model, vae, teacher, student) -> torch.Tensor:
    """IMAGE: each of the teacher's pictures with the student's to its right.

    Those of smaller sizes stand on black, since an IMAGE is of one size.

    Args:
        vae: None for rough pictures from the latents alone.
        teacher, student: of each size [B, C, h, w] clean latents as the network is trained on them.
    """
    pairs = [
        torch.cat(pair, dim=1)
        for latents in zip(teacher, student, strict=True)
        for pair in zip(*(_images(model, vae, some) for some in latents), strict=True)
    ]
    return on_black(pairs)


def on_black(images: list[torch.Tensor]) -> torch.Tensor:
    """IMAGE of pictures [h, w, 3] of any sizes, each at the upper left of the largest."""
    height, width = (max(image.shape[side] for image in images) for side in (0, 1))
    room = lambda image: (0, 0, 0, width - image.shape[1], 0, height - image.shape[0])
    return torch.stack([torch.nn.functional.pad(image, room(image)) for image in images])


def _images(model, vae, latents):
    latents = model.model.process_latent_out(latents)
    if vae is not None:
        images = vae.decode(latents)
        return images.reshape(-1, *images.shape[-3:])
    # of a video the first picture
    latents = latents[:, :, 0] if latents.ndim == 5 else latents
    factors = torch.tensor(model.model.latent_format.latent_rgb_factors or [])
    if len(factors) != latents.shape[1]:
        factors = torch.eye(latents.shape[1], 3)
    rough = torch.einsum("bchw,cr->bhwr", latents, factors).add(1).div(2).clamp(0, 1)
    large = comfy.utils.common_upscale(
        rough.movedim(-1, 1), 8 * rough.shape[2], 8 * rough.shape[1], "nearest-exact", "disabled"
    )
    return large.movedim(1, -1)

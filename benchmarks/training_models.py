"""The networks that training.py measures on, and what they are given."""

import diffusers
import torch
from diffusers import UNet2DConditionModel
from unet_shapes import SD15, SDXL

SHAPES = {"sd15": SD15, "sdxl": SDXL}
# width and height of a latent: pictures of 128, 512 and 1024 pixels
SIZES = {"demo": 16, "sd15": 64, "sdxl": 128}
TOKENS = 77


def unet_of(name: str, device, dtype) -> UNet2DConditionModel:
    """The demo model's UNet, or one of random weights in the published size."""
    if name == "demo":
        from fewstep.headless.pipeline import load_demo

        return load_demo().unet.to(device, dtype)
    # no module of these is to stay in float32, and diffusers warns of just that
    diffusers.utils.logging.set_verbosity_error()
    # drawn where it is to be, since a CPU takes minutes for billions
    with torch.device(device):
        unet = UNet2DConditionModel.from_config(SHAPES[name]).to(dtype)
    return unet.eval().requires_grad_(False)


def conditions_of(name: str, count: int) -> dict[str, torch.Tensor]:
    """Conditions [count + 1, ...] by name on the CPU, the last those of the empty prompt."""
    if name == "demo":
        from fewstep.headless.compare import demo_captions
        from fewstep.headless.pipeline import load_demo

        with torch.no_grad():
            return {"states": load_demo().encode([*demo_captions(count, seed=0), ""])}
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(count + 1, *shape, generator=generator)

    if name == "sd15":
        return {"states": drawn(TOKENS, 768)}
    time_ids = torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]]).expand(count + 1, -1)
    return {"states": drawn(TOKENS, 2048), "pooled": drawn(1280), "time_ids": time_ids}

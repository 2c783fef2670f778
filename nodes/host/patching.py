"""The prediction type and the flow shift of a MODEL, told from its behaviour and changed."""

import copy
import math

import comfy.model_sampling
import torch

from ...diffusion.process import FLOW
from .sampling import process_of, sampling_of

PREDICTIONS = {
    "eps": comfy.model_sampling.EPS,
    "v": comfy.model_sampling.V_PREDICTION,
    "x0": comfy.model_sampling.X0,
}
# what is left of a boundary scaling at the noise levels of an LCM grid is below this
TOLERANCE = 1e-4


def prediction_of(sampling) -> str | None:
    """eps, v, x0 or flow as recipes have it; None where it is none of them."""
    if process_of(sampling)[0] is FLOW:
        return "flow"
    sigma = sampling.sigmas[len(sampling.sigmas) // 2].item()
    one, zero, level = torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([sigma])
    of_x = sampling.calculate_denoised(level, zero, one).item()
    of_output = sampling.calculate_denoised(level, one, zero).item()
    known = {
        "eps": (1.0, -sigma),
        "v": (1 / (sigma**2 + 1), -sigma / math.sqrt(sigma**2 + 1)),
        "x0": (0.0, 1.0),
    }
    for name, (x, output) in known.items():
        if abs(of_x - x) < TOLERANCE and abs(of_output - output) < TOLERANCE * sigma:
            return name
    return None


def has_boundary(sampling) -> bool:
    """Whether ComfyUI's lcm patch has left only the timesteps of an LCM grid."""
    count = getattr(sampling, "num_timesteps", None)
    return count is not None and len(sampling.sigmas) < count


def shift_of(sampling) -> float:
    """A flow model's time shift a, of a t / (1 + (a - 1) t)."""
    middle = sampling.percent_to_sigma(0.5)
    return middle / (1.0 - middle)


def with_prediction(model, prediction: str):
    """A copy of a MODEL whose network's output is read as eps, v or x0.

    Raises:
        ValueError: it is a flow model, or has no integer timesteps.
    """
    old = sampling_of(model)
    if getattr(old, "num_timesteps", None) is None:
        raise ValueError(
            f"the recipe needs a model that predicts {prediction} at integer timesteps, and model "
            "has continuous noise levels. The recipe is for another architecture."
        )

    class Sampling(comfy.model_sampling.ModelSamplingDiscrete, PREDICTIONS[prediction]):
        pass

    model = model.clone()
    new = Sampling(model.model.model_config, zsnr=getattr(old, "zsnr", None))
    model.add_object_patch("model_sampling", new)
    return model


def with_shift(model, shift: float):
    """A copy of a flow MODEL with another time shift; all else of its sampling stays.

    Raises:
        ValueError: its sampling has no shift that could be set.
    """
    new = copy.deepcopy(sampling_of(model))
    current, known = getattr(new, "shift", math.nan), shift_of(new)
    kept = {"multiplier": new.multiplier} if hasattr(new, "multiplier") else {}
    # ComfyUI keeps the shift itself for some architectures, its logarithm for FLUX's kind
    if math.isclose(current, known, rel_tol=1e-5):
        new.set_parameters(shift=shift, **kept)
    elif math.isclose(math.exp(current), known, rel_tol=1e-5):
        new.set_parameters(shift=math.log(shift), **kept)
    else:
        raise ValueError(
            f"the recipe needs shift {shift:g}, and the sampling of model, "
            f"{type(new).__name__}, has none that can be set. Remove the node that patched it."
        )
    model = model.clone()
    model.add_object_patch("model_sampling", new)
    return model

"""What networks are told of texts, encoded as diffusers' own pipelines of their kind do it."""

import torch


def conditions_of(pipeline, texts: list[str], size: tuple[int, int], device) -> dict:
    """Conditions [len(texts), ...] by name, see families.py, on the device.

    Args:
        pipeline: of diffusers, with its tokenizers and text encoders.
        size: width and height in pixels, which SDXL is told.

    Raises:
        ValueError: training does not know pipelines of its kind.
    """
    name = type(pipeline).__name__
    if name not in ENCODERS:
        raise ValueError(
            f"the model is for a {name}; allowed are models for {', '.join(ENCODERS)}. Train "
            "others in ComfyUI, with the nodes."
        )
    return ENCODERS[name](pipeline, texts, size, device)


def _sd(pipeline, texts, size, device):
    states, _ = pipeline.encode_prompt(texts, device, 1, False)
    return {"states": states}


def _sdxl(pipeline, texts, size, device):
    states, _, pooled, _ = pipeline.encode_prompt(
        texts, device=device, do_classifier_free_guidance=False
    )
    time_ids = time_ids_of(size).to(states).expand(len(texts), -1)
    return {"states": states, "pooled": pooled, "time_ids": time_ids}


def time_ids_of(size: tuple[int, int]) -> torch.Tensor:
    """What SDXL is told of a picture's width and height in pixels, [6]."""
    width, height = size
    # original size, corner of the crop, size wanted
    return torch.tensor([height, width, 0, 0, height, width])


def _flux(pipeline, texts, size, device):
    states, pooled, _ = pipeline.encode_prompt(texts, None, device=device)
    return {"states": states, "pooled": pooled}


def _sd3(pipeline, texts, size, device):
    states, _, pooled, _ = pipeline.encode_prompt(
        texts, None, None, device=device, do_classifier_free_guidance=False
    )
    return {"states": states, "pooled": pooled}


ENCODERS = {
    "StableDiffusionPipeline": _sd,
    "StableDiffusionXLPipeline": _sdxl,
    "FluxPipeline": _flux,
    "StableDiffusion3Pipeline": _sd3,
}

"""The SIGMAS node: noise levels at exactly the timesteps a distilled model was trained at."""

import torch
from comfy_api.latest import io

from ..diffusion import sigmas as levels
from ..diffusion import timesteps as grids
from ..diffusion.process import FLOW
from .curve import curve
from .host import sampling as noise
from .host.facts import with_facts
from .schema import schema

SPACINGS = ("trailing", "lcm", "turbo", "timesteps")
SD_ONLY = {"lcm": "LCM and TCD models for SD 1.5 and SDXL", "turbo": "SD-Turbo and SDXL-Turbo"}


def sigmas_of(
    sampling, spacing: str, steps: int, denoise: float = 1.0, timesteps: str = ""
) -> list[float]:
    """Falling noise levels ending in 0 for a model_sampling object of ComfyUI.

    Raises:
        ValueError: the spacing does not fit the model, or an input is out of range.
    """
    if noise.process_of(sampling)[0] is FLOW:
        return _flow_sigmas(sampling, spacing, steps, denoise, timesteps)
    grid = _grid(spacing, steps, denoise, timesteps)
    noise.check_told_timesteps(sampling, grid, spacing)
    return levels.from_timesteps(grid, noise.undistilled_table(sampling))


def trained_levels(sampling, spacing: str, steps: int = 0, timesteps: str = "") -> list[float]:
    """Every level that a model of this spacing was trained at; steps counts for 'trailing' alone.

    Raises:
        ValueError: as `sigmas_of`.
    """
    whole = {"lcm": len(grids.lcm_grid(50)), "turbo": len(grids.TURBO_GRID)}
    return sigmas_of(sampling, spacing, whole.get(spacing, steps), timesteps=timesteps)


def _flow_sigmas(sampling, spacing, steps, denoise, timesteps):
    if spacing in SD_ONLY:
        raise ValueError(
            f"spacing is {spacing!r}, the grid of {SD_ONLY[spacing]}, but model is a flow model, "
            "which has no such grid. Use 'trailing', or 'timesteps' with the list the model was "
            "distilled at."
        )
    if spacing == "trailing":
        fractions = levels.flow_trailing(steps, denoise=denoise)
    else:
        grid = _grid(spacing, steps, denoise, timesteps)
        fractions = levels.from_timesteps(grid, levels.flow_table())
    return [noise.flow_sigma(sampling, fraction) for fraction in fractions]


def _grid(spacing, steps, denoise, timesteps):
    match spacing:
        case "trailing":
            return grids.trailing(steps, denoise=denoise)
        case "lcm":
            return grids.lcm_grid(steps, denoise=denoise)
        case "turbo":
            return grids.turbo(steps, denoise=denoise)
        case "timesteps":
            return grids.from_list(timesteps, denoise=denoise)
    raise ValueError(f"spacing is {spacing!r}; allowed is one of {', '.join(SPACINGS)}.")


class FewStepSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="schedules",
            node_id="FewStepSigmas",
            display_name="Sigmas (FewStep)",
            description=(
                "Noise levels at exactly the timesteps a distilled model was trained at. trailing: "
                "SDXL-Lightning, Hyper-SD, DMD2, flow models. lcm: LCM, LCM-LoRA, TCD. turbo: "
                "SD-Turbo and SDXL-Turbo as Stability sampled them. timesteps: your own list."
            ),
            search_aliases=[
                "trailing",
                "sgm_uniform",
                "simple",
                "lcm",
                "lightning",
                "turbo",
                "scheduler",
                "timesteps",
                "few step",
            ],
            inputs=[
                io.Model.Input(
                    "model", tooltip="Only its noise schedule is read, nothing is changed."
                ),
                io.Combo.Input(
                    "spacing",
                    options=list(SPACINGS),
                    default=SPACINGS[0],
                    tooltip="Which timesteps: the ones the model was distilled at.",
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip=(
                        "Network passes at denoise 1. lcm allows 50 at most, turbo 10; for "
                        "'timesteps' the list decides and this is not used."
                    ),
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How much of the input picture is painted anew, 0 to 1. Only trained "
                        "timesteps are used: trailing and timesteps keep the last steps x denoise "
                        "of theirs (4 steps at 0.5 make 2 passes), lcm and turbo start lower and "
                        "still make all steps."
                    ),
                ),
                io.String.Input(
                    "timesteps",
                    default="",
                    tooltip=(
                        "For spacing 'timesteps': falling whole numbers from 999 to 0, such as "
                        "999, 749, 499, 249 (DMD2) or 399 (DMD2 in one step)."
                    ),
                ),
            ],
            outputs=[io.Sigmas.Output(tooltip="One level per network pass, falling, and 0.")],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(cls, model, spacing, steps, denoise, timesteps) -> io.NodeOutput:
        sampling = noise.sampling_of(model)
        sigmas = sigmas_of(sampling, spacing, steps, denoise, timesteps)
        grid = trained_levels(sampling, spacing, steps, timesteps)
        told = curve(sampling, sigmas, grid)
        return with_facts(torch.tensor(sigmas, dtype=torch.float32), curve=told)

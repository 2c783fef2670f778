"""The SAMPLER nodes: LCM, TCD and Euler, exact at few steps."""

from comfy_api.latest import io

from ..samplers import landings
from ..samplers.ode import sample_euler
from ..samplers.start import CONVENTIONS
from ..samplers.trajectory import sample_trajectory
from .host import runs
from .schema import schema

FOLDER = "samplers"
SAMPLER_TOOLTIP = "Goes into SamplerCustom or SamplerCustomAdvanced."


@runs.as_sampler_function
def fewstep_lcm(run: runs.Run):
    """Multistep consistency sampling."""
    return _follow(run, landings.lcm(run.sigmas))


@runs.as_sampler_function
def fewstep_tcd(run: runs.Run, eta: float = 0.3):
    """Strategic stochastic sampling."""
    return _follow(run, landings.tcd(run.sigmas, eta, run.table()))


@runs.as_sampler_function
def fewstep_euler(run: runs.Run, start: str = CONVENTIONS[0]):
    """Euler's method on the probability flow; DDIM under another name."""
    x = run.started(start)
    return sample_euler(run.denoise, x, run.sigmas, process=run.process, on_step=run.on_step)


def _follow(run, levels):
    return sample_trajectory(
        run.denoise,
        run.started(CONVENTIONS[0]),
        run.sigmas,
        levels,
        process=run.process,
        noise=run.noise,
        on_step=run.on_step,
    )


class FewStepSamplerLCM(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepSamplerLCM",
            display_name="Sampler LCM (FewStep)",
            description=(
                "LCM sampling: predict the clean picture, add fresh noise of the next "
                "level, repeat. For LCM and LCM-LoRA, DMD2 and other consistency models, at 1 to "
                "8 steps. Fresh noise is drawn on the CPU, so every graphics card gives the same "
                "picture."
            ),
            search_aliases=["lcm", "lcm lora", "dmd2", "consistency", "4 step", "few step", "fast"],
            inputs=[],
            outputs=[io.Sampler.Output(tooltip=SAMPLER_TOOLTIP)],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(runs.as_sampler(fewstep_lcm))


class FewStepSamplerTCD(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepSamplerTCD",
            display_name="Sampler TCD (FewStep)",
            description=(
                "TCD sampling: step below the next noise level, then climb back with fresh noise. "
                "For TCD LoRAs and the Hyper-SD one-step LoRAs, with the lcm spacing of "
                "FewStep Sigmas."
            ),
            search_aliases=["tcd", "hyper-sd", "hyper sd", "trajectory consistency", "few step"],
            inputs=[
                io.Float.Input(
                    "eta",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=False,
                    tooltip=(
                        "Share of fresh noise at every step, 0 to 1 (gamma in the paper). 0 is "
                        "deterministic; more steps bear more of it. TCD models are published with "
                        "0.3, Hyper-SD at one step with 1."
                    ),
                )
            ],
            outputs=[io.Sampler.Output(tooltip=SAMPLER_TOOLTIP)],
        )

    @classmethod
    def execute(cls, eta) -> io.NodeOutput:
        landings.check_eta(eta)
        return io.NodeOutput(runs.as_sampler(fewstep_tcd, eta=eta))


class FewStepSamplerEuler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepSamplerEuler",
            display_name="Sampler Euler (FewStep)",
            description=(
                "Euler sampling for SDXL-Lightning, Hyper-SD, Turbo and distilled flow models: one "
                "network pass per step, nothing random. The choice of start matters only for an "
                "empty latent."
            ),
            search_aliases=[
                "euler",
                "ddim",
                "lightning",
                "hyper-sd",
                "turbo",
                "schnell",
                "few step",
            ],
            inputs=[
                io.Combo.Input(
                    "start",
                    options=list(CONVENTIONS),
                    default=CONVENTIONS[0],
                    tooltip=(
                        "How strong the first noise of an empty latent is. 'unit variance' feeds "
                        "the network what it was trained on at every start level, also below the "
                        "top. "
                        "'sigma' repeats diffusers' Euler: 0.234 % less at the top level of SD."
                    ),
                )
            ],
            outputs=[io.Sampler.Output(tooltip=SAMPLER_TOOLTIP)],
        )

    @classmethod
    def execute(cls, start) -> io.NodeOutput:
        return io.NodeOutput(runs.as_sampler(fewstep_euler, start=start))

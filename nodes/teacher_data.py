"""The node that has the teacher draw what its student is trained on."""

import shutil
from pathlib import Path

import torch
from comfy_api.latest import io

from ..distill.guidance import draw_scales
from ..distill.plan import GB, Disk, Plan, check
from ..distill.shards import lost
from ..distill.trajectories import Request, make, missing
from .host import files, texts
from .host.encoding import latent_shape
from .host.progress import Progress
from .host.sampling import sampling_of
from .host.training import network_of
from .known import STOP, WARN
from .prompts import FOLDER
from .schedules import sigmas_of
from .schema import schema
from .sockets import report_output
from .teachers import check_teacher
from .training_sockets import DataSocket, Prompts, PromptsSocket, TeacherData


def make_data(
    node, model, prompts: Prompts, latent_image, *, steps, cfg, cfg_max, seeds, seed, name, budget
) -> str:
    """Make a teacher's trajectories, or what is missing of them; returns a report.

    Raises:
        ValueError: something cannot be trained with, the folder holds something else, or there is
            too little disk.
    """
    folder = files.run_folder("data", name)
    shape = latent_shape(model, latent_image)
    sigmas = sigmas_of(sampling_of(model), "trailing", steps)
    scales = _scales(cfg, cfg_max, seeds * len(prompts.positive), seed)
    _check_disk(folder, budget, len(prompts.positive), seeds, steps, shape)
    with network_of(model, prompts.positive, prompts.negative) as network:
        request = Request(
            teacher=network.fingerprint,
            process=network.process.name,
            sigmas=tuple(sigmas),
            cfg_scales=scales,
            shape=shape,
            rows=tuple(row for row in range(network.rows) for _ in range(seeds)),
            seeds=tuple((seed + k) % 2**64 for k in range(seeds * network.rows)),
        )
        progress = Progress(node, missing(request, folder) * steps)
        made = make(network, request, folder, on_step=progress.advance)
    size = request.bytes_on_disk() / GB
    guidance = f"{cfg:g} to {cfg_max:g}" if cfg_max else f"{cfg:g}"
    return (
        f"{len(made)} trajectories of {len(prompts.positive)} prompts, {steps} steps at cfg "
        f"{guidance}, {size:.3f} GB\nin {folder}\n"
    )


def _scales(cfg, cfg_max, count, seed):
    """The cfg of each trajectory: one, or each its own from a range."""
    if not cfg_max:
        return (cfg,) * count
    if cfg_max <= cfg:
        raise ValueError(
            f"cfg_max is {cfg_max:g} and cfg {cfg:g}; allowed is 0 for one cfg, or a number above "
            "cfg: then students are told their guidance and know the range."
        )
    generator = torch.Generator().manual_seed(seed % 2**63)
    return tuple(draw_scales(cfg, cfg_max, count, generator).tolist())


def _check_disk(folder: Path, budget, prompts, seeds, steps, shape):
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free + _size_of(folder)
    disk = Disk(free, round(budget * GB), 0, prompts, seeds, steps, shape)
    check(Plan(prompts * seeds, 0.0, None, disk))


def _size_of(folder):
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0


class FewStepTeacherData(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepTeacherData",
            hidden=texts.NEEDED,
            display_name="Teacher Data (FewStep)",
            description=(
                "Has the undistilled model sample every prompt, with guidance, and keeps its path "
                "from noise to picture on disk. This is what students are trained on: no pictures "
                "are needed. Cancelled or cut off, it goes on where it was."
            ),
            search_aliases=["teacher", "trajectories", "distill", "cache", "dataset"],
            inputs=[
                *_what_inputs(),
                *_how_inputs(),
                *_where_inputs(),
                if_distilled_input(),
                _cfg_max_input(),
            ],
            outputs=[
                DataSocket.Output(
                    display_name="data",
                    tooltip="Goes into Bake Guidance (FewStep) and Distill (FewStep).",
                ),
                report_output("How much was made, and where it lies."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name, **others):
        # so that files that have gone are made anew
        return lost(files.run_folder("data", name))

    @classmethod
    def execute(
        cls, model, prompts, latent_image, *, name, budget_gb, if_distilled, cfg_max=0.0, **wanted
    ) -> io.NodeOutput:
        check_teacher(model, if_distilled)
        wanted["cfg_max"] = cfg_max
        report = make_data(cls, model, prompts, latent_image, name=name, budget=budget_gb, **wanted)
        steps = wanted["steps"]
        texts.show(cls, report)
        return io.NodeOutput(TeacherData(files.run_folder("data", name), prompts, steps), report)


def _what_inputs():
    return [
        io.Model.Input("model", tooltip="The undistilled model, with LoRAs it shall keep."),
        PromptsSocket.Input("prompts", tooltip="From Prompts (FewStep)."),
        io.Latent.Input(
            "latent_image", tooltip="An empty latent of the size that pictures shall have."
        ),
    ]


def _how_inputs():
    return [
        io.Int.Input(
            "steps",
            default=24,
            min=2,
            max=1000,
            tooltip=(
                "Of the teacher. Students have a divisor of it: 24 serves for 1, 2, 3, 4, "
                "6, 8 and 12 steps."
            ),
        ),
        io.Float.Input(
            "cfg",
            default=5.0,
            min=1.0,
            max=100.0,
            step=0.1,
            tooltip="The guidance that is baked in: the cfg you like best.",
        ),
        io.Int.Input(
            "seeds",
            default=1,
            min=1,
            max=1000,
            tooltip="Pictures of each prompt; with 2, variety can be measured.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            tooltip="Of the first picture; every further one has the next.",
        ),
    ]


def _cfg_max_input():
    return io.Float.Input(
        "cfg_max",
        optional=True,
        default=0.0,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip=(
            "0 bakes in the one cfg. Above cfg, each picture has its own between the two, and "
            "students are told theirs: the cfg can then be chosen in use, without its cost. "
            "For UNets such as SD 1.5's and SDXL's."
        ),
    )


def _where_inputs():
    return [
        io.String.Input(
            "name",
            default="teacher",
            tooltip="Of the folder in ComfyUI's output/fewstep/data that it is kept in.",
        ),
        io.Float.Input(
            "budget_gb",
            default=5.0,
            min=0.001,
            max=100000.0,
            step=0.1,
            tooltip="The most that it may take on disk; asked before the first step.",
        ),
    ]


def if_distilled_input():
    return io.Combo.Input(
        "if_distilled",
        options=[STOP, WARN],
        default=STOP,
        tooltip=(
            "What happens where model is distilled already (Turbo, schnell, Lightning, klein). "
            "stop: an error that says why. warn: it goes on."
        ),
    )

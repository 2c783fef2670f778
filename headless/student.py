"""The student that a file asks for: how it is trained, what it needs, and its LoRA."""

import hashlib

from ..distill.lora import joined
from ..distill.names import GUIDANCE
from ..distill.stages import Chain, Trained
from ..distill.ways import WAYS, Stage
from ..recipes.recipe import Recipe, in_steps
from ..recipes.students import student_recipe
from .config import Config
from .families import family_of
from .processes import Processes
from .source import Teacher
from .student_file import read_student, write_student


def chain_of(config: Config, network, data, here: Processes) -> Chain:
    """The stages of a file's method, and what they share.

    Args:
        network: a DiffusersNetwork.
        data: the teacher's Trajectories, or JoinedData of several sizes.

    Raises:
        ValueError: base_lora is refused.
    """
    train, method = config.train, config.method
    way = WAYS[method.name]
    base = method.base_lora and hashlib.sha256(method.base_lora.read_bytes()).hexdigest()
    what = {"method": method.name, "steps": method.steps, "base": base}
    return Chain(
        stages=way.stages(data, method.steps or config.data.steps),
        setting=train.setting(network, data, _base(config, network)),
        options=train.run,
        folder=config.output.folder / f"{config.output.name} run",
        about={**what, **data.request.described(), **train.described()},
        is_paired=way.is_paired,
        share=here.share,
    )


def write_students(
    config: Config, chain: Chain, teacher: Teacher, trained: list[Trained]
) -> list[str]:
    """Save the LoRA of every stage; the last one's has the name that was asked for.

    Returns:
        what there is to say of the files.

    Raises:
        ValueError: that file is there already.
        OSError: the disk is full.
    """
    family, base, said = family_of(teacher.model), chain.setting.base, []
    for stage, outcome, _ in trained:
        is_last = stage is trained[-1].stage
        path = config.output.lora if is_last else config.output.stage(stage.name)
        lora = joined([*base, outcome.lora])
        recipe = recipe_of(config, teacher, stage)
        smaller = {"rank": config.output.rank, "energy": config.output.energy}
        options = {**smaller, "overwrite": not is_last}
        if kept := write_student(path, lora, family, recipe, teacher.title, **options):
            said.append(f"{path.name}: {kept}")
    return said


def recipe_of(config: Config, teacher: Teacher, stage: Stage) -> Recipe:
    """What the student of a stage needs."""
    way, (low, high) = WAYS[config.method.name], config.data.cfg
    what = "guidance baked in" if config.method.name == GUIDANCE else in_steps(stage.steps)
    return student_recipe(
        f"{what} ({config.output.name})",
        way.family,
        teacher.base,
        teacher.prediction.name,
        steps=stage.steps,
        counts=stage.counts,
        sampler=way.sampler,
        shift=teacher.shift,
        told=(low, high) if low < high else None,
        on_lcm_grid=way.is_on_lcm_grid and teacher.table is not None,
    )


def _base(config, network):
    """What lies under the student."""
    if config.method.base_lora is None:
        return ()
    return (read_student(config.method.base_lora, network).to(network.device),)

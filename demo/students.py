"""The students that come with the demo models: what each learns from, how, and for how long.

python run.py train-demo-students FOLDER [NAME ...] trains them, or what is missing of them, from
the demo models in use, and puts them among its weights. Ranks are low, since all of them together
are to stay small. Those of large batches take minutes on a GPU, and hours on a CPU.
"""

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from ..distill.names import GUIDANCE as BAKED
from ..distill.train_options import TrainOptions
from ..distill.training import Options
from ..headless.config import (
    DEMO,
    DEMO_CAPTIONS,
    DEMO_FLOW,
    FLOAT32,
    Config,
    Data,
    Method,
    Model,
    Output,
    Prompts,
)
from ..headless.processes import processes
from ..headless.training import run
from . import weights

TEACHER_STEPS, SIZE = 24, (128, 128)
SEED = 1000
# of each layer of what is saved smaller: a third less than one rank for all that keeps as much
KEPT = 0.99


class Paths(NamedTuple):
    """A set of a teacher's trajectories, one of each caption.

    Attributes:
        cfg: lowest and highest, of which each draws its own.
        model: the teacher, as `Model` has it.
    """

    name: str
    captions: int
    cfg: tuple[float, float]
    model: str = DEMO


# of 1,536 trajectories a student of 4 steps made the pictures it had seen three times as exactly
# as others
FIXED = Paths("fixed", 4608, (weights.GUIDANCE, weights.GUIDANCE))
MANY = Paths("many", 12288, (weights.GUIDANCE, weights.GUIDANCE))
RANGE = Paths("range", 1536, (1.25, 7.5))
FLOW = Paths("flow", 12288, (weights.GUIDANCE, weights.GUIDANCE), DEMO_FLOW)


class Student(NamedTuple):
    """How a student is made.

    Attributes:
        base: what the LoRA is called in the folder of work that it goes on from: the name of a
            student, or of one on the way to it.
        files: its LoRAs as they are shipped, by what its run calls them; empty for one that is
            only the base of another.
        saved_energy: share of each layer's change that the file keeps, as `Output` has it; None
            for base and student together as they are.
        validate_every: iterations, of which the best student is kept; 0 for the last one.
    """

    method: str
    steps: int | None
    iterations: int
    files: dict[str, str]
    paths: Paths = FIXED
    base: str | None = None
    rank: int = 8
    batch: int = 16
    learning_rate: float = 2e-3
    validate_every: int = 0
    saved_energy: float | None = None


STUDENTS = {
    "progressive": Student(
        "progressive",
        1,
        800,
        {
            "progressive 8 steps": "progressive_8_steps",
            "progressive 4 steps": "progressive_4_steps",
            "progressive 2 steps": "progressive_2_steps",
            "progressive": "progressive_1_step",
        },
        rank=12,
        saved_energy=KEPT,
    ),
    "guidance": Student(BAKED, None, 2560, {"guidance": "guidance"}, MANY, rank=16, batch=256),
    "stacked": Student(
        "segments",
        4,
        900,
        {"stacked": "guidance_4_steps"},
        MANY,
        base="guidance",
        rank=16,
        batch=256,
        saved_energy=KEPT,
    ),
    "endpoint": Student("endpoint", 4, 300, {"endpoint": "endpoint_4_steps"}, saved_energy=KEPT),
    "told": Student(
        BAKED, None, 2500, {"told": "told_guidance"}, RANGE, rank=16, saved_energy=KEPT
    ),
    # shipped is still one of an earlier trainer, which is as good: benchmarks/RESULTS.md
    "lcm": Student("lcm", 4, 450, {"lcm": "lcm_lora"}, rank=32, batch=64, learning_rate=1e-3),
    "told lcm": Student(
        "lcm",
        4,
        1500,
        {"told lcm": "told_lcm"},
        paths=RANGE,
        base="told",
        rank=16,
        learning_rate=1e-3,
        saved_energy=KEPT,
    ),
    "segments 2 steps": Student("segments", 2, 1260, {}, MANY, rank=24, batch=256),
    "tdm 2 steps": Student(
        "tdm",
        2,
        400,
        {"tdm 2 steps": "tdm_2_steps"},
        MANY,
        base="segments 2 steps",
        rank=16,
        batch=128,
        learning_rate=5e-4,
        saved_energy=KEPT,
    ),
    "segments 1 step": Student("segments", 1, 890, {}, MANY, rank=32, batch=256),
    "tdm 1 step": Student(
        "tdm",
        1,
        400,
        {},
        MANY,
        base="segments 1 step",
        rank=24,
        batch=128,
        learning_rate=1e-3,
    ),
    "adversarial": Student(
        "adversarial",
        1,
        110,
        {"adversarial": "adversarial_1_step"},
        MANY,
        base="tdm 1 step",
        batch=64,
        learning_rate=2e-4,
        saved_energy=KEPT,
    ),
    "flow guidance": Student(
        BAKED, None, 3410, {"flow guidance": "flow_guidance"}, FLOW, batch=256
    ),
    "flow stacked": Student(
        "segments",
        4,
        860,
        {"flow stacked": "flow_guidance_4_steps"},
        FLOW,
        base="flow guidance",
        batch=256,
    ),
}


def main(argv: list[str]) -> int:
    """Train students, without names those whose teacher is there; 2 where one cannot be."""
    folder, *names = argv or [""]
    unknown = [name for name in names if name not in STUDENTS]
    if not folder or unknown:
        sys.stderr.write(
            "train-demo-students needs a folder for its work, and may have names of students "
            f"after it: {', '.join(STUDENTS)}"
            + (f"; there is no {', '.join(unknown)}.\n" if unknown else ".\n")
        )
        return 2
    try:
        for name in names:
            weights.check_present(teacher_of(name))
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name in names or filter(has_teacher, STUDENTS):
        made = [weights.student_file(file) for file in STUDENTS[name].files.values()]
        # what is only a base is made when it is asked for, or needed
        if not all(path.exists() for path in made) or (name in names and not made):
            train(name, Path(folder))
    return 0


def teacher_of(name: str) -> str:
    """The part of the demo's weights that a student learns from."""
    return weights.FLOW if STUDENTS[name].paths.model == DEMO_FLOW else "unet"


def has_teacher(name: str) -> bool:
    """Whether the teacher of a student is there."""
    return weights.file_of(teacher_of(name)).exists()


def train(name: str, folder: Path) -> None:
    """Train a student, after its base, and put its LoRAs among the weights of the demo model."""
    config = config_of(name, folder)
    base = config.method.base_lora
    if base and not base.exists():
        _bring(base)
    run(config, processes())
    weights.STUDENTS.mkdir(exist_ok=True)
    for made, shipped in STUDENTS[name].files.items():
        shutil.copyfile(folder / f"{made}.safetensors", weights.student_file(shipped))


def _bring(base: Path):
    """Put a base into the folder of work: as it is shipped, or trained."""
    maker = next(name for name in STUDENTS if base.stem in (name, *STUDENTS[name].files))
    shipped = STUDENTS[maker].files.get(base.stem)
    if shipped and weights.student_file(shipped).exists():
        base.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights.student_file(shipped), base)
    else:
        train(maker, base.parent)


def config_of(name: str, folder: Path) -> Config:
    """What a training is asked for; all it makes lies in the folder.

    Args:
        name: one of STUDENTS.
    """
    student = STUDENTS[name]
    paths = student.paths
    options = Options(
        iterations=student.iterations,
        batch=student.batch,
        learning_rate=student.learning_rate,
        checkpoint_every=100,
        validate_every=student.validate_every,
    )
    return Config(
        # as the demo model is sampled on a CPU, where a GPU is too
        model=Model(paths.model, dtype=FLOAT32),
        prompts=Prompts(DEMO_CAPTIONS, count=paths.captions),
        data=Data(
            folder=folder / f"trajectories_{paths.name}",
            steps=TEACHER_STEPS,
            cfg=paths.cfg,
            sizes=(SIZE,),
            seed=SEED,
            batch=32,
        ),
        train=TrainOptions(
            options, student.rank, float(student.rank), is_checkpointed=False, pictures=32
        ),
        method=Method(
            student.method, student.steps, student.base and folder / f"{student.base}.safetensors"
        ),
        output=Output(folder, name, energy=student.saved_energy),
    )

"""A training in ComfyUI from its data to its LoRA: plan, run, validation, report."""

import logging
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..distill import checkpoint
from ..distill import plan as plans
from ..distill.lora import Lora, joined
from ..distill.meters import Meters, measure
from ..distill.methods import Setting
from ..distill.remedies import warnings
from ..distill.run import Outcome, run
from ..distill.shards import Shards
from ..distill.training import Method, Training
from ..distill.trajectories import KIND, Trajectories
from ..recipes.recipe import Recipe
from .host import files, pictures, texts, trial
from .host.progress import Progress
from .host.training import network_of
from .plan import plan
from .students import Kind, digest, lora_of, recipe_of_student, tensors_of
from .training_sockets import TeacherData, TrainOptions

# of a checkpoint, in multiples of the LoRA's size: weights, average, best, two moments
COPIES = 5


class Baked(NamedTuple):
    """What a training node gives."""

    lora: dict[str, torch.Tensor]
    losses: dict[str, list[float]]
    recipe: Recipe
    report: str
    images: torch.Tensor


class Order(NamedTuple):
    """What to train.

    Attributes:
        begin: (setting) -> Method.
        kind: what the student will be; about: what the run is of, for its checkpoint.
        base: LORA_MODEL that is on under the student and goes into the result; None for none.
    """

    begin: Callable[[Setting], Method]
    kind: Kind
    about: dict[str, Any]
    name: str
    base: dict[str, torch.Tensor] | None = None
    check: Callable[[Trajectories], None] = lambda data: None


def bake(node, model, data: TeacherData, order: Order, options: TrainOptions, vae=None) -> Baked:
    """Train a student, or go on with one that was interrupted.

    Raises:
        ValueError: data of another model, options that do not go together, too little memory or
            disk, or a run that diverged; what was trained until its last checkpoint stays.
    """
    folder = files.run_folder("runs", order.name)
    words = data.prompts
    layers = {"layers": options.layers, "is_checkpointed": options.is_checkpointed}
    with network_of(model, words.positive, words.negative, **layers) as network:
        trajectories = Trajectories(Shards.opened(data.folder, KIND), network.process)
        _check_same(trajectories, network)
        order.check(trajectories)
        setting = _setting(network, trajectories, options, order)
        about = _about(setting, order, options)
        training = Training(order.begin(setting), options.run)
        left = options.run.iterations - (checkpoint.done(folder, about) or 0)
        validation = Validation(model, network, setting, order, words, options)
        planned = _planned(node, folder, setting, order, training, left) if left else "done before"
        on_step = _shown(node, training, left, planned)
        outcome = run(training, folder, about, validate=validation, on_step=on_step)
        return _baked(outcome, training.losses, setting, validation, planned, vae)


class Validation:
    """Pictures of the held out trajectories, teacher's and student's."""

    def __init__(self, model, network, setting, order, words, options):
        self.model, self.network, self.setting = model, network, setting
        self.recipe = recipe_of_student(model, order.kind)
        data, count = setting.data, max(1, options.pictures)
        self.index = torch.arange(max(0, len(data) - count), len(data))
        rows = [data.request.rows[i] for i in self.index]
        self.groups, self.positive = rows, [words.positive[row] for row in rows]
        self.negative = words.negative
        self.seeds = [data.request.seeds[i] for i in self.index]
        self.teacher = data.x0(self.index)
        # what cannot be measured is refused before a pass
        measure(self.teacher, self.teacher, self.groups)

    def student(self, lora: Lora) -> torch.Tensor:
        """Latents that the student's users would get."""
        made = plan(self.model, self.recipe)
        with self.network.hooks.using(*self.setting.base, lora):
            shape = self.setting.data.request.shape
            words = self.positive, self.negative, self.seeds
            return pictures.sampled(made, *words, shape, self.network)

    def __call__(self, lora: Lora) -> Meters:
        return measure(self.student(lora), self.teacher, self.groups)


def _check_same(trajectories, network):
    if trajectories.request.teacher != network.fingerprint:
        raise ValueError(
            "data was made by another model, other LoRAs on it, or other prompts than are "
            "connected now. Connect the same model and prompts to both nodes, or make the data "
            "anew under another name."
        )


def _setting(network, trajectories, options, order):
    # what is trained on is not what it is judged by, where there is enough of it
    held_out = options.pictures if len(trajectories) >= 4 * options.pictures else 0
    base = ()
    if order.base is not None:
        base = (lora_of(order.base, network.hooks.layers, network.device),)
    return Setting(
        network=network,
        data=trajectories,
        rank=options.rank,
        lora_alpha=options.lora_alpha,
        seed=options.run.seed,
        held_out=held_out,
        base=base,
    )


def _about(setting, order, options):
    """What a run is of; a checkpoint of anything else is not gone on with."""
    every = {**options._asdict(), **options.run._asdict()}
    del every["run"]
    base = order.base and digest(order.base)
    return {**order.about, **setting.data.request._asdict(), **every, "base": base}


def _planned(node, folder, setting, order, training, left):
    """What the iterations that are left will take, shown and checked."""
    options = training.options
    seconds, memory = trial.measured(lambda: order.begin(setting), options, setting.network.device)
    numbers = sum(parameter.numel() for parameter in training.method.student.parameters())
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    disk = plans.Disk(free, free, other=2 * COPIES * 4 * numbers)
    planned = plans.Plan(left, seconds, memory, disk)
    plans.check(planned)
    text = plans.as_text(planned)
    logging.info("FewStep: %s", text)
    texts.show(node, text)
    return text


def _shown(node, training, left, planned):
    """An on_step that shows how far a run is."""
    total = training.options.iterations
    progress = Progress(node, total, total - left)

    def on_step(training, losses, meters):
        said = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
        error = "" if meters is None else f", error {meters.paired_error:.4f}"
        progress.advance(1, f"loss {said}{error}\n{planned}", lambda: training.losses)

    return on_step


def _baked(outcome: Outcome, losses, setting, validation, planned, vae):
    student = validation.student(outcome.lora)
    lora = joined([*setting.base, outcome.lora]) if setting.base else outcome.lora
    images = pictures.side_by_side(validation.model, vae, validation.teacher, student)
    report = "\n".join([planned, *_lines(outcome)]) + "\n"
    first = next(iter(losses.values()))
    return Baked(tensors_of(lora), {"loss": first}, validation.recipe, report, images)


def _lines(outcome):
    yield f"the student of iteration {outcome.iteration} is kept"
    if outcome.is_stopped:
        yield "stopped before its time, since the seeds of a prompt became one picture"
    for iteration, meters in outcome.meters.items():
        varied = "-" if meters.diversity is None else f"{meters.diversity:.3f}"
        detail = "-" if meters.detail_ratio is None else f"{meters.detail_ratio:.3f}"
        yield (
            f"iteration {iteration}: error {meters.paired_error:.4f}, detail {detail}, variety of "
            f"seeds {varied}"
        )
    yield from warnings(outcome.meters[outcome.iteration])

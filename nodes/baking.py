"""A training in ComfyUI from its data to its LoRA: plan, run, validation, report."""

import logging
from typing import NamedTuple

import torch

from ..distill.chain_plan import plan_of, refuse, trials
from ..distill.joined_data import join
from ..distill.lora import joined
from ..distill.plan import as_text
from ..distill.shards import Shards
from ..distill.stages import Chain, train
from ..distill.train_options import TrainOptions
from ..distill.trajectories import KIND, Trajectories
from ..distill.ways import WAYS
from ..distill.words import cautions, lines_of
from ..recipes.recipe import Recipe
from .host import files, pictures, texts
from .host.progress import Progress
from .host.training import network_of
from .host.trial import measured
from .students import digest, lora_of, save_lora, tensors_of
from .training_sockets import TeacherData
from .validation import Validation


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
        way: one of `distill.ways.WAYS`, and its name; steps: of the student, 0 where the way has
            none of its own.
        name: of the run.
        base: LORA_MODEL that is on under the student and goes into the result; None for none.
    """

    way: str
    steps: int
    title: str
    name: str
    base: dict[str, torch.Tensor] | None = None


def bake(node, model, data: TeacherData, order: Order, options: TrainOptions, vae=None) -> Baked:
    """Train a student, or go on with one that was interrupted.

    Raises:
        ValueError: data of another model, options that do not go together, too little memory or
            disk, or a run that diverged; what was trained until its last checkpoint stays.
    """
    words, way = data.prompts, WAYS[order.way]
    shards = [Shards.opened(folder, KIND) for folder in data.folders]
    is_told = any(len(set(part.request["cfg_scales"])) > 1 for part in shards)
    layers = {"layers": options.layers, "is_checkpointed": options.is_checkpointed}
    prompts = words.positive, words.negative
    with network_of(model, *prompts, **layers, is_told=is_told) as network:
        trajectories = join([Trajectories(part, network.process) for part in shards])
        _check_same(trajectories, network)
        base = _base(order, network)
        setting = options.setting(network, trajectories, base)
        chain = Chain(
            stages=way.stages(trajectories, order.steps or data.steps),
            setting=setting,
            options=options.run,
            folder=files.run_folder("runs", order.name),
            about=_about(setting, order, options),
            is_paired=way.is_paired,
        )
        validation = Validation(network, setting, order, words, options.pictures)
        refuse(chain)
        left, tried = chain.left(), trials(chain)
        planned = _planned(node, chain, tried, left) if left else "done before"
        on_step = _shown(node, chain, left, planned)
        trained = train(chain, validate=validation, on_step=on_step)
        return _baked(trained, chain, validation, planned, vae)


def _check_same(trajectories, network):
    if trajectories.request.teacher != network.fingerprint:
        raise ValueError(
            "data was made by another model, other LoRAs on it, or other prompts than are "
            "connected now. Connect the same model and prompts to both nodes, or make the data "
            "anew under another name."
        )


def _base(order, network):
    """What lies under the student."""
    if order.base is None:
        return ()
    return (lora_of(order.base, network.hooks.layers, network.device),)


def _about(setting, order, options):
    """What a run is of; a checkpoint of anything else is not gone on with."""
    base = order.base and digest(order.base)
    what = {"method": order.way, "steps": order.steps, "base": base}
    return {**what, **setting.data.request.described(), **options.described()}


def _planned(node, chain, tried, left):
    """What the iterations that are left will take, shown and checked."""
    text = as_text(plan_of(chain, tried, left, measured))
    logging.info("FewStep: %s", text)
    texts.show(node, text)
    return text


def _shown(node, chain, left, planned):
    """An on_step that shows how far a chain is, and the losses of its stages one after another."""
    total = chain.options.iterations * len(chain.stages)
    progress = Progress(node, total, total - left)

    def on_step(training, losses, meters):
        said = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
        error = "" if meters is None else f", error {meters.paired_error:.4f}"
        progress.advance(1, f"loss {said}{error}\n{planned}", lambda: training.losses)

    return on_step


def _baked(trained, chain, validation, planned, vae):
    setting, last = chain.setting, trained[-1]
    student = validation.student(last.stage, last.outcome.lora)
    images = pictures.side_by_side(setting.network.model, vae, validation.teacher, student)
    way = validation.order.way
    said = [*cautions(way), *_unused(setting, way), *_saved(trained, chain, validation)]
    report = "\n".join([planned, *said, *lines_of(trained)]) + "\n"
    losses = [loss for part in trained for loss in part.losses["student"]]
    recipe = validation.recipe(last.stage)
    return Baked(_whole(setting, last.outcome), {"loss": losses}, recipe, report, images)


def _unused(setting, way):
    """How many prompts the data has no picture of, where the method needs one."""
    count = setting.network.rows - len(set(setting.data.request.rows))
    if WAYS[way].needs_pictures and count:
        yield (
            f"{count} of {setting.network.rows} prompts were not trained with: the data has no "
            "pictures of them, and only methods tdm and dmd learn from prompts alone"
        )


def _whole(setting, outcome):
    """LORA_MODEL of a student with what is under it."""
    lora = joined([*setting.base, outcome.lora]) if setting.base else outcome.lora
    return tensors_of(lora)


def _saved(trained, chain, validation):
    """Save the student of every stage but the last, which is the node's output."""
    for stage, outcome, _ in trained[:-1]:
        path = chain.place(stage) / f"{stage.name}.safetensors"
        tensors = _whole(chain.setting, outcome)
        save_lora(path, tensors, validation.recipe(stage), overwrite=True)
        yield f"the student of {stage.name} is in {path}"

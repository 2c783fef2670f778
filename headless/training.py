"""A training without ComfyUI, from its file to its LoRA: data, plan, run, validation, report."""

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import diffusers
import torch.distributed as dist
import transformers
from tqdm import tqdm

from ..distill.chain_plan import plan_of, refuse, trials
from ..distill.joined_data import join
from ..distill.plan import as_text
from ..distill.stages import Chain, train
from ..distill.ways import WAYS
from ..distill.words import cautions, lines_of, said
from .conditions import prompts_of, texts_of
from .config import Config
from .config_file import read_config
from .levels import levels_of
from .losses import write_losses
from .processes import Processes, processes
from .source import Teacher, latent_shape
from .student import chain_of, write_students
from .teacher import network_of, teacher_of
from .teacher_data import check_disk, made, request_of
from .trial import measured
from .validation import Validation

DONE, REFUSED, INTERRUPTED = 0, 2, 130
INTERRUPTION = "Interrupted. What was made is on disk: run the same command again to go on."


def main(argv: list[str], command: str, methods: tuple[str, ...], description: str) -> int:
    """Train what a file asks for; 2 where it is refused, 130 where it was interrupted.

    Args:
        methods: the names that [method] name may have.
    """
    parser = argparse.ArgumentParser(prog=f"run.py {command}", description=description)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    wanted = parser.parse_args(argv)
    try:
        run(read_config(wanted.config, methods), processes())
    except (ValueError, OSError) as error:
        _complain(str(error))
        return REFUSED
    except KeyboardInterrupt:
        _complain(INTERRUPTION)
        return INTERRUPTED
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return DONE


def run(config: Config, here: Processes) -> None:
    """Make the data, train, and write the LoRA; each is gone on with where it was.

    Raises:
        ValueError: something does not go together, memory or disk is too small, or the run
            diverged; what was trained until its last checkpoint stays.
        OSError: a file cannot be read or written.
    """
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    texts = texts_of(prompts_of(config.prompts, config.data.seed), config.prompts.negative)
    teacher, conditions = teacher_of(config, texts, here)
    shapes = [latent_shape(teacher.model, size) for size in config.data.sizes]
    check_disk(config.data, len(texts) - 1, shapes)
    with network_of(teacher, conditions, config, here) as network:
        sigmas = levels_of(config.data.steps, teacher.table, teacher.shift or 1.0)
        sets = [
            made(network, request_of(network, part, sigmas, shape), part, here)
            for part, shape in zip(config.data.parts, shapes, strict=True)
        ]
        _train(config, chain_of(config, network, join(sets), here), teacher, here)


def _train(config: Config, chain: Chain, teacher: Teacher, here: Processes):
    refuse(chain)
    left, tried = chain.left(), trials(chain)
    plan = as_text(plan_of(chain, tried, left, measured)) if left else "done before"
    here.say(plan)
    way, pictures = WAYS[config.method.name], config.train.pictures
    validate = Validation(chain.setting, way, teacher.shift, pictures, here)
    with _shown(chain, left, here) as on_step:
        trained = train(chain, validate=validate, on_step=on_step)
    if here.is_main:
        said = write_students(config, chain, teacher, trained)
        report = "\n".join([plan, *cautions(config.method.name), *lines_of(trained), *said]) + "\n"
        config.output.report.write_text(report, encoding="utf-8")
        write_losses(config.output.losses, trained)
    here.wait()
    here.say(f"LoRA: {config.output.lora}\nReport: {config.output.report}")


@contextmanager
def _shown(chain, left, here):
    """An on_step that shows how far a chain is."""
    total = chain.options.iterations * len(chain.stages)
    with tqdm(total=total, initial=total - left, unit="step", disable=not here.is_main) as bar:

        def on_step(training, losses, meters):
            bar.update(1)
            bar.set_postfix({name: f"{loss:.3g}" for name, loss in losses.items()})
            if meters is not None:
                here.say(f"iteration {training.i}: {said(meters)}")

        yield on_step


def _complain(text):
    # every process fails alike; one says it
    if os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"{text}\n")

"""python run.py evaluate: fewer network passes beside more, measured with intervals.

Without a file the demo model's students beside their teacher, with one the models that it names.
Goes on where it was cut off: pictures that are there are not made again.
"""

import argparse
import sys
from pathlib import Path

import diffusers
import torch
import torch.distributed as dist
import transformers

from ..evaluate.golden_set import shipped
from . import demo_evaluation, model_evaluation
from .demo_contenders import demo_contenders
from .options import add_out, add_threads, within
from .processes import processes

# prompts and seeds of which ten contenders take some five minutes of two slow cores
DEMO = {"prompts": 100, "seeds": 2, "only": None, "out": Path("out/evaluate")}
MOST_SEEDS = 16
DONE, REFUSED, INTERRUPTED = 0, 2, 130


def main(argv: list[str]) -> int:
    """Evaluate; 0 when the results are written, 2 when it cannot, 130 when it was interrupted."""
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    # it comments on every part that a pipeline has or has not
    diffusers.utils.logging.set_verbosity_error()
    try:
        wanted = parse(argv, [one.name for one in demo_contenders()])
        if wanted.threads:
            torch.set_num_threads(wanted.threads)
        if wanted.config is None:
            demo_evaluation.run(wanted, processes())
        else:
            model_evaluation.run(wanted.config)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command again to go on.\n")
        return INTERRUPTED
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return DONE


def parse(argv: list[str], names: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py evaluate",
        description="Measure models beside a reference on a golden set: those of a file, or the "
        "demo model's students beside their teacher.",
    )
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="CONFIG.toml",
        help="which models; docs/evaluation.toml has all keys. Without it the demo model",
    )
    _add_demo_options(parser.add_argument_group("of the demo model"), names)
    add_threads(parser)
    wanted = parser.parse_args(argv)
    given = [name for name in DEMO if getattr(wanted, name) is not None]
    if wanted.config is not None and given:
        parser.error(f"--{given[0]} is for the demo model; write it into {wanted.config}")
    for name in DEMO.keys() - given:
        setattr(wanted, name, DEMO[name])
    return wanted


def _add_demo_options(group, names):
    most = len(shipped("demo"))
    group.add_argument(
        "--prompts",
        type=within("--prompts", 2, most),
        metavar="N",
        help=f"of the golden set, 2 to {most}; default {DEMO['prompts']}",
    )
    group.add_argument(
        "--seeds",
        type=within("--seeds", 1, MOST_SEEDS),
        metavar="S",
        help=f"pictures of each prompt, 1 to {MOST_SEEDS}; default {DEMO['seeds']}. Diversity "
        "needs 2",
    )
    group.add_argument(
        "--only",
        action="append",
        choices=names[1:],
        metavar="STUDENT",
        help="a student to measure, more than once for several; default most of "
        + "; ".join(names[1:]),
    )
    add_out(group, str(DEMO["out"]))
    # so that it is known whether it was given
    group.set_defaults(out=None)

"""Any models beside a reference: pictures of a golden set, measured pair by pair and as sets."""

from pathlib import Path

import torch
from tqdm import tqdm

from ..evaluate import likeness
from ..evaluate.golden_set import fingerprint
from ..evaluate.report_page import Pair, Section
from ..evaluate.table import Row
from .comparison import check_whole, compared, likeness_of, look_at, worst_rows
from .config import AUTO
from .demo import versions
from .diffusers_contenders import contenders_of
from .evaluation_config import EvaluationConfig
from .evaluation_file import read_evaluation
from .evaluation_report import WORST, write
from .golden_pictures import make_sets
from .picture_features import Eyes, eyes_of
from .processes import Processes, processes

# of drawing prompts anew
SEED = 0


def run(path: Path) -> None:
    """Evaluate what a file names.

    Raises:
        ValueError: as of `read_evaluation`, `contenders_of` and `eyes_of`, before a model is
            loaded; a model cannot be loaded or makes what is no picture; or a picture was changed.
        OSError: a file cannot be read or written.
    """
    config = read_evaluation(path)
    here = on_device(processes(), config.pictures.device)
    try:
        contenders = contenders_of(config, here.device)
        eyes = eyes_of(config.features) if here.is_main else None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    folder, batch = config.pictures.folder / "pictures", config.pictures.batch
    sets = make_sets(contenders, config.golden_set, folder, here, batch=batch)
    if here.is_main:
        _report(config, contenders, sets, eyes.to(here.device))


def on_device(here: Processes, wanted: str) -> Processes:
    """This process on the device that the user names; AUTO leaves it its own.

    Raises:
        ValueError: the machine does not have it, or several processes would share it.
    """
    if wanted == AUTO:
        return here
    if here.of > 1:
        raise ValueError(
            f"[pictures] device is {wanted!r}, and there are {here.of} processes, each of which "
            "has its own. Leave it out."
        )
    try:
        torch.empty(0, device=wanted)
    # torch says in many ways that there is no such device
    except Exception as error:
        raise ValueError(
            f"[pictures] device is {wanted!r}, which this machine does not have: {error}"
        ) from error
    return here._replace(device=torch.device(wanted))


def _report(config: EvaluationConfig, contenders, sets, eyes: Eyes) -> None:
    golden_set = config.golden_set
    for one in sets:
        check_whole(one)
    seen = [look_at(one, golden_set, eyes) for one in tqdm(sets, desc="looking", unit="set")]
    pairs = [
        compared(sets[0], one, golden_set, eyes)
        for one in tqdm(sets[1:], desc="comparing", unit="set")
    ]
    found = [
        likeness_of(pair, golden_set, seen[0], other, eyes)
        for pair, other in zip(pairs, seen[1:], strict=True)
    ]
    measured = [likeness.of_reference(found[0], seed=SEED)]
    measured += [likeness.figures(one, seed=SEED) for one in found]
    rows = [
        Row(one.name, one.passes, figures)
        for one, figures in zip(contenders, measured, strict=True)
    ]
    shown = [
        Section(row, _worst(golden_set, sets[0], other, pair))
        for row, other, pair in zip(rows[1:], sets[1:], pairs, strict=True)
    ]
    told = {
        "golden set": fingerprint(golden_set),
        "reference": rows[0].name,
        "prompts": len({golden.prompt for golden in golden_set}),
        "seeds": config.choice.seeds,
        "versions": versions(),
        "requests": {one.name: one.request for one in contenders},
    }
    write(config.pictures.folder, rows, shown, told, "Those that are least alike come first.")


def _worst(golden_set, reference, other, pair):
    return [
        Pair(
            golden_set[row].prompt,
            pair.told(row),
            reference.path(row).read_bytes(),
            other.path(row).read_bytes(),
        )
        for row in worst_rows(pair, WORST)
    ]

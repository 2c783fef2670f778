"""A folder in which sets of pictures lie, and the blind comparisons that are made of them.

A comparison holds votes, not pictures. It knows what its sets were made of, so that pictures which
were made anew since are not taken for those that were voted on.
"""

import hashlib
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..diffusion.plain_name import check_plain
from .pairing import QUESTION, Pair, Prompt, Study, check_contenders
from .picture_file import bare_png, read_picture, read_provenance
from .picture_set import PictureSet
from .votes import Votes

# folders in it
PICTURES, VOTES = "pictures", "votes"
ENDING = ".sqlite"
SIDES = "left", "right"
# characters
LONGEST_NAME, LONGEST_QUESTION = 40, 200
# by the tag of a prompt: what it is hard for
FOCUS: Mapping[str, str] = MappingProxyType(
    {
        "faces": "Which picture has the better faces?",
        "hands": "Which picture has the better hands?",
        "text": "Which picture has the words right?",
        "texture": "Which picture has the finer texture?",
        "counting": "Which picture has the right number of things?",
        "relations": "Which picture has things where they belong?",
    }
)
GOLDEN_SET = "golden set"


class Offered(NamedTuple):
    """A set of pictures that may be compared.

    Attributes:
        golden_set: sets of different ones have no pairs.
        problem: why it cannot be compared, a sentence; "" where it can.
    """

    name: str
    count: int
    golden_set: str
    problem: str


def offered(folder: Path) -> list[Offered]:
    """The sets of pictures in a folder, by name; what is none is left out."""
    root = Path(folder) / PICTURES
    found = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [_offer(folder, path.name) for path in found]


def names(folder: Path) -> list[str]:
    """The comparisons that were begun in a folder."""
    return sorted(path.stem for path in (Path(folder) / VOTES).glob(f"*{ENDING}"))


def begin(
    folder: Path,
    name: str,
    contenders: Sequence[str],
    *,
    question: str = QUESTION,
    is_focused: bool = True,
) -> None:
    """Begin a comparison of sets, its order and sides drawn by chance.

    Args:
        contenders: names of sets.
        is_focused: ask about what a prompt is hard for, where its tags say.

    Raises:
        ValueError: there is a comparison of this name, or the name or question is none; there are
            fewer than 2 sets, or one twice; a set is not there, is not whole, or has other prompts
            or sizes than the first.
        OSError: the folder cannot be written to.
    """
    path = _votes_path(folder, name)
    if path.is_file() and path.stat().st_size:
        raise ValueError(f"name is {name!r}, and that comparison is there. Choose another name.")
    if not isinstance(question, str) or not 1 <= len(question.strip()) <= LONGEST_QUESTION:
        raise ValueError(
            f"question is {question!r}; allowed are texts of 1 to {LONGEST_QUESTION} characters."
        )
    check_contenders(contenders)
    sets = {contender: _whole(folder, contender) for contender in contenders}
    study = Study(
        _id(name, sets.values()),
        tuple(contenders),
        _prompts(sets),
        secrets.randbits(32),
        question.strip(),
        FOCUS if is_focused else {},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with Votes(path, study):
        pass


def opened(folder: Path, name: str) -> Votes:
    """The votes of a comparison.

    Raises:
        ValueError: there is none of this name, or its file holds no votes.
        OSError: it cannot be read.
    """
    path = _votes_path(folder, name)
    if not path.is_file():
        raise ValueError(f"there is no comparison {name!r}; begin it, or choose one that is there.")
    return Votes(path)


def check_pictures(folder: Path, name: str, study: Study) -> None:
    """Make sure that the pictures of a comparison are those that it was begun with.

    Raises:
        ValueError: some are not there, or were made anew in another way.
    """
    if _id(name, [_whole(folder, contender) for contender in study.contenders]) != study.id:
        raise ValueError(
            f"pictures of {name!r} were made anew since it was begun, so that votes on them would "
            "be of other pictures. Begin another comparison."
        )


def largest_size(folder: Path, study: Study) -> tuple[int, int]:
    """Width and height of the largest picture of a comparison.

    Raises:
        ValueError: a picture is not there, or cannot be read.
    """
    first = _set(folder, study.contenders[0])
    sizes = {read_provenance(_inside(first.path(row)))[0] for row in range(first.count)}
    return max(sizes, key=math.prod)


def picture(folder: Path, pair: Pair, side: str) -> bytes:
    """A picture of a pair, as a PNG file that says nothing of where it comes from.

    Args:
        side: one of SIDES.

    Raises:
        ValueError: side is none; the picture is not there, or cannot be read.
    """
    if side not in SIDES:
        raise ValueError(f"side is {side!r}; allowed are {' and '.join(SIDES)}.")
    path = _inside(_set(folder, getattr(pair, side)).path(pair.prompt))
    return bare_png(read_picture(path)[0])


def _votes_path(folder, name):
    check_plain(name)
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"name has {len(name)} characters; allowed are {LONGEST_NAME}, since it is a file."
        )
    return Path(folder) / VOTES / f"{name}{ENDING}"


def _offer(folder, name):
    try:
        found = _whole(folder, name)
    except (ValueError, OSError) as error:
        return Offered(name, 0, "", str(error))
    return Offered(name, found.count, str(found.request.get(GOLDEN_SET)), "")


def _whole(folder, name):
    found = _set(folder, name)
    if missing := found.missing():
        raise ValueError(f"{name} lacks {len(missing)} of its {found.count} pictures. Finish it.")
    return found


def _set(folder, name):
    check_plain(name)
    return PictureSet.opened(_inside(Path(folder) / PICTURES / name))


def _inside(path):
    """The path, where no link leads out of its folder."""
    if path.resolve().parent != path.parent.resolve():
        raise ValueError(f"{path} is a link to another place. Put the files themselves there.")
    return path


def _id(name, sets):
    told = json.dumps([[one.folder.name, one.count, one.request] for one in sets])
    return f"{name} {hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _prompts(sets):
    """What the sets show, row by row; tags are those of the first."""
    (name, first), *others = sets.items()
    for other_name, other in others:
        if other.request.get(GOLDEN_SET) != first.request.get(GOLDEN_SET):
            raise ValueError(
                f"{name} and {other_name} are of different golden sets, so that there are no "
                "pairs. Choose sets of one golden set."
            )
    return tuple(_prompt(sets, row) for row in range(first.count))


def _prompt(sets, row):
    told = {name: read_provenance(_inside(one.path(row))) for name, one in sets.items()}
    (name, (size, provenance)), *others = told.items()
    for other_name, (other_size, _) in others:
        if other_size != size:
            theirs, ours = ("{} x {}".format(*one) for one in (other_size, size))
            raise ValueError(
                f"row {row + 1} is {ours} in {name} and {theirs} in {other_name}, which would tell "
                "them apart. Make both in one size."
            )
    text = provenance.get("prompt")
    if not isinstance(text, str):
        raise ValueError(
            f"row {row + 1} of {name} does not say its prompt; somebody has saved it anew. Delete "
            "it, and make it again."
        )
    return Prompt(text, tuple(provenance.get("tags", ())))

"""The page of an evaluation, kept in ComfyUI's output folder beside the pictures."""

from pathlib import Path

from ..evaluate.figures import Figure
from ..evaluate.golden_set import fingerprint
from ..evaluate.picture_file import PASSES, read_provenance
from ..evaluate.picture_set import PictureSet, write_whole
from ..evaluate.report_page import Pair, Section, report_page
from ..evaluate.table import Row
from .comparing import Compared, least_alike
from .evaluation_sockets import Pictures
from .host import files

ORDER = "Those that are least alike come first."


def keep_page(
    of: Compared,
    reference: Pictures,
    pictures: Pictures,
    found: list[Figure],
    theirs: list[Figure],
    worst: int,
) -> Path:
    """Write what was measured as one HTML file; one that is there and says otherwise stays.

    Args:
        found, theirs: figures of the set, and of the reference alone.
        worst: how many pairs it shows.

    Returns:
        where it is.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    rows = [_row(reference, theirs), _row(pictures, found)]
    pairs = [_pair(of, reference, pictures, row) for row in least_alike(of, worst)]
    told = f"{len(of.golden_set)} pictures, golden set {fingerprint(of.golden_set)}."
    page = report_page(rows, [Section(rows[1], pairs)], "", told, ORDER).encode()
    path = _place(f"{pictures.folder.name} beside {reference.folder.name}", page)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


def _row(pictures, figures):
    first = PictureSet.opened(pictures.folder).path(0)
    passes = read_provenance(first)[1].get(PASSES)
    return Row(pictures.folder.name, passes, figures)


def _pair(of, reference, pictures, row):
    paths = (PictureSet.opened(one.folder).path(row) for one in (reference, pictures))
    note = f"SSIM {of.ssim[row]:.2f}"
    return Pair(of.golden_set[row].prompt, note, *(path.read_bytes() for path in paths))


def _place(name, page):
    """The first of NAME.html, NAME 2.html, ... that is not there or is this very page."""
    folder, number = files.fewstep_folder() / "reports", 1
    path = folder / f"{name}.html"
    while path.exists() and path.read_bytes() != page:
        number += 1
        path = folder / f"{name} {number}.html"
    return path

"""What a page is told of verdicts and of files, as plain data for JSON."""

from collections.abc import Iterable

from .check import ranked
from .identify import Identification
from .pieces import CANNOT_KNOW, DOES_NOT_FIT, FITS, Verdict, fit, unknown

UNSURE = "unsure"
# what the worst verdict says of the whole
WHOLE = {DOES_NOT_FIT: DOES_NOT_FIT, CANNOT_KNOW: UNSURE, FITS: FITS}
# confidences that leave nothing open
SURE = ("certain", "likely")


def of_verdicts(verdicts: Iterable[Verdict]) -> dict:
    """One verdict on all, and each with its reasons, what does not fit first."""
    ordered = ranked(verdicts)
    worst = WHOLE[ordered[0].verdict] if ordered else UNSURE
    return {"verdict": worst, "verdicts": [verdict._asdict() for verdict in ordered]}


def of_file(found: Identification, name: str, others: Iterable[Verdict] = ()) -> dict:
    """What a file is and how sure that is, with the verdicts on it.

    Args:
        name: of the file, as the user chose it.
        others: further verdicts on the file, such as how much of it fits its model.
    """
    title = found.recipe and found.recipe.title
    identification = {"file": name, "title": title, **found.as_json()}
    known = Verdict("recipe", *_known(found))
    return {**of_verdicts([known, *others]), "identification": identification}


def _known(found):
    needed = "a file that tells what it is"
    title = found.recipe.title if found.recipe else "none"
    told = f"{title}, {found.confidence}"
    if found.recipe is not None and found.confidence in SURE:
        return fit(told, needed)
    return unknown(needed, told, "say it by hand: connect Recipe (FewStep)")

"""What a check says of one subject of a graph."""

from fewstep.recipes.check import check
from fewstep.recipes.pieces import Pieces


def of(subject, recipe, **pieces):
    """The one verdict on a subject, or None."""
    found = [verdict for verdict in check(Pieces(**pieces), recipe) if verdict.subject == subject]
    assert len(found) <= 1
    return found[0] if found else None


def says(subject, recipe, **pieces):
    """The word of that verdict, or None."""
    found = of(subject, recipe, **pieces)
    return found and found.verdict

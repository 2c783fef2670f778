"""An entry of a ledger, and its line as the documented format has it."""

import json

from hypothesis import settings

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.ledger import Entry

quick = settings(derandomize=True, deadline=None, max_examples=30)

FP8 = Entry(
    name="fp8",
    change={"precision": "fp8", "steps": 4, "cfg": 1.0, "cache": None, "bakes": True},
    figures={"FID": Estimate(12.5, 11.0, 14.0, 200), "passes": Estimate(4.0, None, None, 9)},
    golden_set="sha256:1f",
    when="2026-01-31T12:00:00Z",
)
# the line that the documented format gives this entry, written by hand
FP8_LINE = {
    "version": 1,
    "name": "fp8",
    "change": {"precision": "fp8", "steps": 4, "cfg": 1.0, "cache": None, "bakes": True},
    "figures": {
        "FID": {"value": 12.5, "low": 11.0, "high": 14.0, "count": 200},
        "passes": {"value": 4.0, "low": None, "high": None, "count": 9},
    },
    "golden_set": "sha256:1f",
    "when": "2026-01-31T12:00:00Z",
}
REMEDY = "Restore the line from a copy of the file, or delete it."


def line_with(**fields):
    return json.dumps({**FP8_LINE, **fields})


def figure_with(**parts):
    return {"FID": {**FP8_LINE["figures"]["FID"], **parts}}

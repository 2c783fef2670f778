"""Results of a demo run that never ran: plain pictures, round numbers."""

import numpy as np

from fewstep.demo.score import Score
from fewstep.headless.results import Method, Result, Setting

CAPTIONS = ("a red circle", "a blue star left of a small green ring on a pink background")
SETTING = Setting(
    captions=CAPTIONS,
    pictures=96,
    seed=7,
    batch=16,
    threads=2,
    decode_seconds=0.0625,
    machine="A <slow> processor",
    versions={"torch": "1.2.3"},
)


def result(model="teacher", steps=50, cfg_scale=4.0, verdicts=(True, False), distance=1.5):
    half = Score(36, 48)
    return Result(
        method=Method(model, steps, cfg_scale),
        seconds=0.5 * steps / 50,
        ratio=50 / steps,
        scores={"single-object": half, "two-object": half, "all": Score(72, 96)},
        distance=distance,
        pictures=np.stack([np.full((128, 128, 3), 40 + steps, np.uint8)] * len(verdicts)),
        verdicts=tuple(verdicts),
    )


RESULTS = [
    result(),
    result("LCM-LoRA", 4, 1.0, (True, True), 3.0),
    result("teacher", 2, 4.0, (False, False), None),
]

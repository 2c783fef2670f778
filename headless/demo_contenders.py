"""The demo model's teacher and students as contenders that make pictures of a golden set."""

from collections.abc import Sequence

import numpy as np
import torch

from ..demo import weights
from ..demo.students import TEACHER_STEPS
from ..evaluate.golden_set import Golden
from ..samplers.noise import seeded_noise
from .compare import LATENT, STUDENT, TEACHER, sample
from .golden_pictures import Contender, Maker
from .pipeline import load_demo
from .results import Method
from .shipped_students import shipped_students
from .stamp import stamp_of

SIDE = 128  # pixels
# whose pictures the others are compared with
REFERENCE = Method(TEACHER, TEACHER_STEPS, weights.GUIDANCE)
LCM_LORA = Method(STUDENT, 4, 1.0, "lcm", "lcm")


def demo_contenders() -> list[Contender]:
    """The teacher first, then its students, most passes first; all of the UNet.

    Raises:
        FileNotFoundError: the demo model is not all there.
    """
    weights.check_present("unet", weights.LCM_LORA)
    networks = [weights.FOLDER / part for part in ("unet", "text_encoder", "vae")]
    stamp = stamp_of([*networks, weights.TOKENIZER])
    found = [_contender(REFERENCE, load_demo, stamp)]
    few = [(LCM_LORA, lambda: load_demo(lora=True), weights.LCM_LORA)]
    few += [
        (student.method, student.load, student.path)
        for student in shipped_students()
        if student.method.shift is None
    ]
    few.sort(key=lambda one: -one[0].passes)
    return found + [
        _contender(method, load, f"{stamp} {stamp_of([path])}") for method, load, path in few
    ]


def demo_maker(pipeline, method: Method) -> Maker:
    """Make pictures with a pipeline of the demo model."""

    @torch.inference_mode()
    def make(rows: Sequence[Golden]) -> np.ndarray:
        check_rows(rows)
        like = torch.empty(len(rows), *LATENT)
        noise, step_noise = (
            seeded_noise(like, [golden.seed + later for golden in rows]) for later in (0, 1)
        )
        texts = [golden.prompt for golden in rows]
        denoise = pipeline.denoiser(texts, method.cfg_scale, method.guidance)
        return pipeline.decode(sample(denoise, method, noise(), step_noise))

    return make


def check_rows(rows: Sequence[Golden]) -> None:
    """Refuse what the demo model cannot make.

    Raises:
        ValueError: a size is not 128 x 128, or there is a negative prompt.
    """
    for golden in rows:
        if (golden.width or SIDE, golden.height or SIDE) != (SIDE, SIDE):
            raise ValueError(
                f"size is {golden.width}x{golden.height} for {golden.prompt[:40]!r}; the demo "
                f"model makes {SIDE}x{SIDE} alone. Leave size out, or give another model."
            )
        if golden.negative:
            raise ValueError(
                f"negative is {golden.negative[:40]!r} for {golden.prompt[:40]!r}; the demo model "
                "is compared without. Leave it out."
            )


def _contender(method, load, stamp):
    request = {**method._asdict(), "weights": stamp}
    return Contender(method.title, method.passes, request, lambda: demo_maker(load(), method))

"""python run.py bake CONFIG.toml: a LoRA with which a model needs no guidance any more."""

from ..distill.names import GUIDANCE
from . import training


def main(argv: list[str]) -> int:
    """Train it; 0 when its file is written."""
    says = "Bake guidance into a LoRA: one network pass a step instead of two."
    return training.main(argv, "bake", (GUIDANCE,), says)

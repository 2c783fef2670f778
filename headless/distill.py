"""python run.py distill CONFIG.toml: a LoRA with which a model makes its pictures in few steps."""

from ..distill.names import STEPS
from . import training


def main(argv: list[str]) -> int:
    """Train it; 0 when its file is written."""
    return training.main(argv, "distill", STEPS, "Distil a model into a LoRA of few steps.")

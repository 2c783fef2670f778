"""Options that several commands have."""

import argparse
import os
from pathlib import Path


def within(name, low, high):
    """An argparse type: a whole number from low to high."""

    def convert(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(
                f"{name} is {text!r}; allowed is a whole number from {low} to {high}"
            )
        return number

    return convert


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        type=within("--threads", 1, os.cpu_count() or 1),
        metavar="T",
        help="CPU threads to use, 1 to the number of cores; default what torch finds best",
    )


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="FOLDER", help=f"default {default}"
    )

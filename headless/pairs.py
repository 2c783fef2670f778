"""python run.py pairs: the page on which pictures are compared blind, without ComfyUI."""

import argparse
import sys
from pathlib import Path

from aiohttp import web

from ..evaluate.comparison_folder import PICTURES, offered
from ..evaluate.pairs_routes import ROOT, pairs_routes
from .options import within

PORT = 8189
HERE = "127.0.0.1"
DONE, REFUSED = 0, 2


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C; 2 when it cannot."""
    wanted = parse(argv)
    try:
        check_folder(wanted.folder)
        serve(wanted.folder, wanted.host, wanted.port)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return DONE


def check_folder(folder: Path) -> None:
    """Refuse a folder without pictures.

    Raises:
        ValueError: it has no folder of pictures.
    """
    if not offered(folder):
        raise ValueError(
            f"{folder} has no sets of pictures in its folder {PICTURES}. Make some with run.py "
            "evaluate, or give the folder output/fewstep of a ComfyUI."
        )


def serve(folder: Path, host: str, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    app = web.Application()
    app.add_routes(pairs_routes(lambda: folder))
    print(f"Compare pictures at  http://{host}:{port}{ROOT}\nCtrl-C ends it; no vote is lost.")
    if host != HERE:
        print("Everybody who reaches this address can see the pictures and vote.")
    web.run_app(app, host=host, port=port, print=None, access_log=None)


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py pairs",
        description="Serve a page on which people say which of two pictures is better, blind.",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("out/evaluate"),
        metavar="FOLDER",
        help=f"with sets of pictures in {PICTURES}; default out/evaluate, of run.py evaluate",
    )
    parser.add_argument(
        "--host",
        default=HERE,
        metavar="HOST",
        help=f"address to answer at; default {HERE}, this machine alone. 0.0.0.0 for phones, too",
    )
    parser.add_argument(
        "--port",
        type=within("--port", 1, 65535),
        default=PORT,
        metavar="PORT",
        help=f"default {PORT}",
    )
    return parser.parse_args(argv)

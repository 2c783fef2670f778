"""Let torchvision and torchaudio import beside a torch whose build they were not compiled for.

Their wheels in the package registry are compiled against the CUDA build of torch. Beside a CPU-only
torch the compiled parts cannot be loaded, and the Python parts, which are all a ComfyUI server
needs to start, fail with them. Python imports this file by itself when its folder is on PYTHONPATH;
it changes nothing on disk, and nothing at all where the compiled parts do load.
"""

import importlib.machinery
import sys


def _declare_missing_operators(extension):
    """torchvision registers fake kernels for these two as soon as it is imported."""
    import torch

    if extension._has_ops():
        return
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # A Library takes its definitions back when it is collected.
    extension.fewstep_operators = library


def _forgive_missing_library(utils):
    load = utils._load_lib

    def load_if_possible(name):
        try:
            return load(name)
        except OSError:
            return False

    utils._load_lib = load_if_possible


AFTER_IMPORT = {
    "torchvision.extension": _declare_missing_operators,
    "torchaudio._extension.utils": _forgive_missing_library,
}


class _AfterImport:
    """Finds the modules of AFTER_IMPORT as usual, then hands each to its function once executed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in AFTER_IMPORT:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_adjust(module):
            import torch

            execute(module)
            if torch.version.cuda is None and torch.version.hip is None:
                AFTER_IMPORT[name](module)

        spec.loader.exec_module = execute_and_adjust
        return spec


if _AfterImport not in sys.meta_path:
    sys.meta_path.insert(0, _AfterImport)

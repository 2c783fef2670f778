"""The extension ComfyUI loads: an explicit list of nodes."""

import logging

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from . import dropdowns
from .apply import FewStepApply, FewStepSample
from .bake import FewStepBakeGuidance, FewStepDistill
from .benchmark import FewStepBenchmark
from .cache import FewStepCache
from .check import FewStepCheck
from .compare import FewStepCompare
from .demo import FewStepDemoModel
from .evaluate import FewStepEvaluate
from .golden_pictures import FewStepGoldenPictures
from .golden_set import FewStepGoldenSet
from .guidance import FewStepGuidance
from .guider import FewStepGuider
from .host.keep import serve_keep
from .host.pairs import serve_pairs
from .host.shelf import serve_shelf
from .join_data import FewStepJoinData
from .ledger import FewStepLedger
from .live import FewStepLiveOutput
from .loaders import FewStepLoraLoader, FewStepModelLoader
from .negative import FewStepNegative
from .picture_data import FewStepPictureData
from .prompts import FewStepPrompts
from .recipes import FewStepIdentify, FewStepRecipe
from .samplers import FewStepSamplerEuler, FewStepSamplerLCM, FewStepSamplerTCD
from .save_lora import FewStepSaveLora
from .schedules import FewStepSigmas
from .shelf import give, listed
from .teacher_data import FewStepTeacherData
from .train_options import FewStepTrainOptions

NODES = [
    FewStepLoraLoader,
    FewStepModelLoader,
    FewStepRecipe,
    FewStepIdentify,
    FewStepApply,
    FewStepSample,
    FewStepCheck,
    FewStepGuidance,
    FewStepGuider,
    FewStepNegative,
    FewStepCache,
    FewStepSigmas,
    FewStepSamplerLCM,
    FewStepSamplerTCD,
    FewStepSamplerEuler,
    FewStepPrompts,
    FewStepTeacherData,
    FewStepPictureData,
    FewStepJoinData,
    FewStepTrainOptions,
    FewStepBakeGuidance,
    FewStepDistill,
    FewStepSaveLora,
    FewStepGoldenSet,
    FewStepGoldenPictures,
    FewStepEvaluate,
    FewStepLedger,
    FewStepBenchmark,
    FewStepCompare,
    FewStepLiveOutput,
    FewStepDemoModel,
]


class FewStepExtension(ComfyExtension):
    """Hands over the nodes this ComfyUI accepts; one bad schema does not cost the rest."""

    # not on_load, which ComfyUI 0.3.64 does not call
    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        dropdowns.add_if_wanted()
        serve_pairs()
        serve_keep()
        serve_shelf(listed, give)
        return sound(NODES)


def sound(nodes: list[type[io.ComfyNode]]) -> list[type[io.ComfyNode]]:
    """The nodes whose schema is valid; the others are named in the log with the reason."""
    kept = []
    for node in nodes:
        try:
            node.GET_SCHEMA()
        except Exception as error:
            logging.exception("FewStep leaves out the node %s: %s", node.__name__, error)
        else:
            kept.append(node)
    return kept

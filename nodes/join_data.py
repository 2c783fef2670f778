"""The node that joins data of several sizes of picture, so that one student learns from all."""

from itertools import chain

from comfy_api.latest import io

from ..distill.joined_data import JoinedRequest, joined_request
from ..distill.shards import Shards
from ..distill.trajectories import KIND, request_in
from .data_inputs import data_output
from .host import texts
from .prompts import FOLDER
from .schema import schema
from .sockets import report_output
from .training_sockets import DataSocket, TeacherData

MOST = 8


def join_data(parts: list[TeacherData]) -> tuple[TeacherData, str]:
    """Data as one to train on, and a report.

    Raises:
        ValueError: they cannot be trained on as one, or a folder has gone.
    """
    folders = tuple(chain.from_iterable(part.folders for part in parts))
    request = joined_request([request_in(Shards.opened(folder, KIND)) for folder in folders])
    return parts[0]._replace(folder=folders[0], others=folders[1:]), _described(request)


def _described(request: JoinedRequest):
    lines = [
        f"{len(one.rows)} with latents of {one.shape[-1]} x {one.shape[-2]}" for one in request.each
    ]
    whole = f"{len(request.rows)} trajectories; each batch is of one size, by its share:"
    return "\n".join([whole, *lines]) + "\n"


class FewStepJoinData(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepJoinData",
            hidden=texts.NEEDED,
            display_name="Join Data (FewStep)",
            description=(
                "Joins data of several sizes of picture, so that one student learns to draw in all "
                "of them. All must be made with the same model, prompts, steps and cfg."
            ),
            search_aliases=["size", "resolution", "aspect ratio", "bucket", "dataset", "distill"],
            inputs=[_input(number) for number in range(1, MOST + 1)],
            outputs=[data_output(), report_output("What there is of each size.")],
        )

    @classmethod
    def execute(cls, data_1, data_2, **others) -> io.NodeOutput:
        further = [others[name] for name in sorted(others) if others[name] is not None]
        joined, report = join_data([data_1, data_2, *further])
        texts.show(cls, report)
        return io.NodeOutput(joined, report)


def _input(number):
    return DataSocket.Input(
        f"data_{number}",
        optional=number > 2,
        tooltip="From Teacher Data (FewStep) or Picture Data (FewStep), each with its own size.",
    )

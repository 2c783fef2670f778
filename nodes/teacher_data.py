"""The node that has the teacher draw what its student is trained on."""

from comfy_api.latest import io

from ..distill.shards import lost
from ..distill.trajectories import make, missing
from .data_inputs import (
    cfg_input,
    cfg_max_input,
    data_outputs,
    if_distilled_input,
    seed_input,
    steps_input,
    where_inputs,
)
from .data_order import DataOrder, check_disk
from .host import files, texts
from .host.encoding import latent_shape
from .host.progress import Progress
from .host.training import network_of
from .prompts import FOLDER
from .schema import schema
from .teachers import check_teacher
from .training_sockets import Prompts, PromptsSocket, TeacherData


def make_data(
    node, model, prompts: Prompts, latent_image, order: DataOrder, *, seeds, pictures
) -> str:
    """Make a teacher's trajectories, or what is missing of them; returns a report.

    Raises:
        ValueError: something cannot be trained with, the folder holds something else, or there is
            too little disk.
    """
    shape, folder = latent_shape(model, latent_image), order.folder
    rows = _rows(len(prompts.positive), seeds, pictures)
    counted = ("pictures", len(rows), 1) if pictures else ("prompts", len(prompts.positive), seeds)
    check_disk(order, *counted, shape)
    with network_of(model, prompts.positive, prompts.negative) as network:
        request = order.request(model, network, shape, rows)
        progress = Progress(node, missing(request, folder) * order.steps)
        made = make(network, request, folder, on_step=progress.advance)
    of, left = len(set(rows)), len(prompts.positive) - len(set(rows))
    rest = f"{left} further prompts are for methods tdm and dmd alone\n" if left else ""
    return f"{len(made)} trajectories of {of} prompts, {order.described(request)}{rest}"


def _rows(prompts, seeds, pictures):
    """The prompt of each picture."""
    most = prompts * seeds
    if not 0 <= pictures <= most:
        raise ValueError(
            f"pictures is {pictures}, and {prompts} prompts with {seeds} seeds make {most}; "
            f"allowed is 1 to {most}, or 0 for all of them."
        )
    return [row for row in range(prompts) for _ in range(seeds)][: pictures or most]


class FewStepTeacherData(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepTeacherData",
            hidden=texts.NEEDED,
            display_name="Teacher Data (FewStep)",
            description=(
                "Has the undistilled model sample every prompt, with guidance, and keeps its path "
                "from noise to picture on disk. This is what students are trained on: no pictures "
                "are needed. Cancelled or cut off, it goes on where it was."
            ),
            search_aliases=["teacher", "trajectories", "distill", "cache", "dataset"],
            inputs=[
                *_what_inputs(),
                *_how_inputs(),
                *where_inputs("teacher"),
                if_distilled_input(),
                cfg_max_input(),
                _pictures_input(),
            ],
            outputs=data_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, name, **others):
        # so that files that have gone are made anew
        return lost(files.run_folder("data", name))

    @classmethod
    def execute(
        cls, model, prompts, latent_image, *, seeds, if_distilled, cfg_max=0.0, pictures=0, **given
    ) -> io.NodeOutput:
        check_teacher(model, if_distilled)
        order = DataOrder(cfg_max=cfg_max, **given)
        which = {"seeds": seeds, "pictures": pictures}
        report = make_data(cls, model, prompts, latent_image, order, **which)
        texts.show(cls, report)
        return io.NodeOutput(TeacherData(order.folder, prompts, order.steps), report)


def _what_inputs():
    return [
        io.Model.Input("model", tooltip="The undistilled model, with LoRAs it shall keep."),
        PromptsSocket.Input("prompts", tooltip="From Prompts (FewStep)."),
        io.Latent.Input(
            "latent_image", tooltip="An empty latent of the size that pictures shall have."
        ),
    ]


def _how_inputs():
    return [
        steps_input("Of the teacher; with cfg above 1 each is two network passes."),
        cfg_input(),
        io.Int.Input(
            "seeds",
            default=1,
            min=1,
            max=1000,
            tooltip="Pictures of each prompt; with 2, variety can be measured.",
        ),
        seed_input("Of the first picture; every further one has the next."),
    ]


def _pictures_input():
    return io.Int.Input(
        "pictures",
        optional=True,
        default=0,
        min=0,
        max=10000000,
        tooltip=(
            "How many pictures the teacher draws; 0 is all. With fewer, methods tdm and dmd learn "
            "from the other prompts too, from noise alone; all other methods leave them out."
        ),
    )

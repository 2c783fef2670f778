"""The node that makes data to train on of a folder of the user's own pictures."""

from typing import NamedTuple

from comfy_api.latest import io

from ..distill.picture_folder import Captioned, read_folder
from ..distill.pictures import left, make_of_pictures
from ..distill.shards import lost
from ..distill.trajectories import PICTURES
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
from .host import encoding, files, texts
from .host.picture_files import read_picture, size_of
from .host.progress import Progress
from .host.training import network_of
from .prompts import FOLDER
from .schema import schema
from .teachers import check_teacher
from .training_sockets import Prompts, TeacherData

# pictures that an error names
NAMED = 5


class Pictures(NamedTuple):
    """Captioned files, and the size in pixels that they are brought to."""

    found: list[Captioned]
    width: int
    height: int

    def check(self) -> None:
        """Raise ValueError where one cannot be read, or is smaller than it is to be."""
        sizes = {path.name: size_of(path) for path, _ in self.found}
        small = [
            f"{name} ({width} x {height})"
            for name, (width, height) in sizes.items()
            if width < self.width or height < self.height
        ]
        if small:
            raise ValueError(
                f"{len(small)} of {len(sizes)} pictures are smaller than {self.width} x "
                f"{self.height}: {', '.join(small[:NAMED])}{', ...' * (len(small) > NAMED)}. "
                "Enlarged they would teach blur. Take them out of the folder, or lower width and "
                "height."
            )


def make_picture_data(
    node, model, vae, clip, pictures: Pictures, negative: str, order: DataOrder
) -> tuple[Prompts, str]:
    """Make data of pictures, or what is missing of it; returns the captions and a report.

    Raises:
        ValueError: something cannot be trained with, the folder holds something else, or there is
            too little disk.
    """
    found, *size = pictures
    shape = encoding.encoded_shape(model, vae, *size)
    check_disk(order, "the number of pictures", len(found), 1, shape)
    content = f"{files.content([path for path, _ in found])} {encoding.vae_digest(vae)}"
    words, rows = _words(clip, found, negative)
    with network_of(model, words.positive, words.negative) as network:
        of = {"source": PICTURES, "content": content}
        request = order.request(model, network, shape, rows, **of)
    numbers = left(request, order.folder)
    # out of network_of, since a VAE may need the room that the model has
    latents = _encoded(node, model, vae, pictures, numbers)
    with network_of(model, words.positive, words.negative) as network:
        progress = Progress(node, len(numbers) * order.steps)
        folder, advance = order.folder, progress.advance
        make_of_pictures(network, request, folder, latents.__getitem__, on_step=advance)
    counted = f"{len(found)} pictures of {len(words.texts)} captions"
    return words, f"{counted}, {order.described(request)}"


def _encoded(node, model, vae, pictures, numbers):
    """The clean latent of each of these pictures by its number."""
    found, *size = pictures
    progress, latents = Progress(node, len(numbers)), {}
    for i in numbers:
        image = read_picture(found[i].path, *size)
        latents[i] = encoding.encode_picture(model, vae, image)
        progress.advance(1, "pictures encoded")
    return latents


def _words(clip, found, negative):
    """The captions encoded, each once, and which of them every picture has."""
    captions = list(dict.fromkeys(caption for _, caption in found))
    *positive, without = encoding.encode(clip, [*captions, negative])
    rows = [captions.index(caption) for _, caption in found]
    return Prompts(tuple(captions), positive, without), rows


class FewStepPictureData(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepPictureData",
            hidden=texts.NEEDED,
            display_name="Picture Data (FewStep)",
            description=(
                "Makes a folder of pictures into what students are trained on, in the place of "
                "the teacher's own: each made noisy, with what the undistilled model predicts "
                "there with guidance. Not needed to make a model fast: Teacher Data (FewStep) "
                "does without. Cancelled or cut off, it goes on where it was."
            ),
            search_aliases=["dataset", "images", "folder", "captions", "distill", "train"],
            inputs=[
                *_what_inputs(),
                *_size_inputs(),
                steps_input("Noise levels that each picture is kept at."),
                cfg_input(),
                seed_input("Of the noise of the first picture; every further one has the next."),
                *where_inputs("pictures"),
                if_distilled_input(),
                cfg_max_input(),
            ],
            outputs=data_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, name, folder, **others):
        # so that changed pictures are looked at, and files that have gone are made anew
        return f"{lost(files.run_folder('data', name))} {files.input_folder_stamp(folder)}"

    @classmethod
    def execute(
        cls, model, vae, clip, folder, caption, negative, width, height, if_distilled, **given
    ) -> io.NodeOutput:
        check_teacher(model, if_distilled)
        order = DataOrder(**given)
        found = read_folder(files.input_path(folder, "folder"), caption)
        pictures = Pictures(found, width, height)
        pictures.check()
        words, report = make_picture_data(cls, model, vae, clip, pictures, negative, order)
        texts.show(cls, report)
        return io.NodeOutput(TeacherData(order.folder, words, order.steps), report)


def _what_inputs():
    return [
        io.Model.Input("model", tooltip="The undistilled model, with LoRAs it shall keep."),
        io.Vae.Input("vae", tooltip="The model's VAE, which encodes the pictures."),
        io.Clip.Input("clip", tooltip="The model's text encoder, for the captions."),
        io.String.Input(
            "folder",
            default="",
            tooltip=(
                "Its name in ComfyUI's input folder. Pictures in it are .png, .jpg, .webp or .bmp, "
                "the caption of each a .txt file of the same name."
            ),
        ),
        io.String.Input(
            "caption",
            default="",
            multiline=True,
            tooltip="For pictures without a .txt file: what they show.",
        ),
        io.String.Input(
            "negative",
            default="",
            multiline=True,
            tooltip="What guidance leads away from. It is baked in with the guidance.",
        ),
    ]


def _size_inputs():
    tooltip = "In pixels: pictures are scaled to cover the size, and their middle is taken."
    size = {"default": 512, "min": 32, "max": 16384, "step": 8, "tooltip": tooltip}
    return [io.Int.Input("width", **size), io.Int.Input("height", **size)]

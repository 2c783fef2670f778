"""The node that saves a trained LoRA with its recipe, so that its loader knows it."""

from comfy_api.latest import io

from .host import files, texts
from .prompts import FOLDER
from .schema import schema
from .sockets import RecipeSocket
from .students import narrowed, save_lora
from .training_sockets import LoraSocket


def save_among_loras(lora, recipe, name: str) -> str:
    """Save a LORA_MODEL among ComfyUI's LoRAs; the name that loaders list it by.

    Raises:
        ValueError: the name is no plain one, or a LoRA has NaN.
        OSError: the disk is full.
    """
    folder = files.loras_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = files.free_path(folder, name, ".safetensors")
    save_lora(path, lora, recipe)
    return path.name


class FewStepSaveLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepSaveLora",
            hidden=texts.NEEDED,
            display_name="Save LoRA (FewStep)",
            description=(
                "Saves a trained LoRA into ComfyUI's output/loras, where its loaders find it, with "
                "its recipe: LoRA Loader (FewStep) then sets everything by itself."
            ),
            search_aliases=["save", "lora", "export"],
            inputs=[
                LoraSocket.Input("lora", tooltip="From Bake Guidance or Distill (FewStep)."),
                RecipeSocket.Input("recipe", tooltip="From the same node."),
                io.String.Input(
                    "name",
                    default="my_fast_lora",
                    tooltip="Of the file. One that is there already is never replaced.",
                ),
                io.Int.Input(
                    "rank",
                    default=0,
                    min=0,
                    max=1024,
                    optional=True,
                    tooltip=(
                        "The highest rank in the file, for a smaller one: the nearest LoRA of that "
                        "rank. A student on top of a base_lora has both ranks together. 0 leaves "
                        "it as it is."
                    ),
                ),
                io.Float.Input(
                    "energy",
                    default=1.0,
                    min=0.5,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip=(
                        "The share of each layer's change to keep: each layer gets as low a rank "
                        "as does it, of what rank has left. 0.99 often halves the file. 1 leaves "
                        "it as it is."
                    ),
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="lora_name", tooltip="What it is called in lists of LoRAs."
                )
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, lora, recipe, name, rank=0, energy=1.0) -> io.NodeOutput:
        said = []
        if rank:
            lora, kept = narrowed(lora, rank=rank)
            said.append(kept)
        if energy < 1.0:
            lora, kept = narrowed(lora, energy=energy)
            said.append(kept)
        saved = save_among_loras(lora, recipe, name)
        texts.show(cls, "; ".join([f"saved as {saved}", *said]))
        return io.NodeOutput(saved)

"""The nodes that give a recipe without loading anything: by hand, or of a file."""

from comfy_api.latest import io

from ..lora.header import read_header
from ..recipes.facts import of_file
from ..recipes.words import cautions, settings, table, told
from .host import files
from .host.facts import with_facts
from .known import chosen, file_stamp, identified, recipe_ids, recipes_stamp
from .schema import schema
from .sockets import recipe_output, report_output, steps_input

FOLDER = "recipes"


class FewStepRecipe(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepRecipe",
            display_name="Recipe (FewStep)",
            description=(
                "Says by hand which distilled model it is, where the file does not tell: steps, "
                "cfg, sampler, schedule, shift, prediction and strength of that model."
            ),
            search_aliases=["recipe", "preset", "settings", "steps", "cfg", "lcm", "lightning"],
            inputs=[
                io.Combo.Input(
                    "recipe_id",
                    options=recipe_ids(),
                    tooltip=(
                        "The model. Recipes of your own are JSON files in fewstep/recipes of "
                        "ComfyUI's user folder."
                    ),
                ),
                steps_input(),
            ],
            outputs=[recipe_output(), report_output("What to set, where it is from, what is bad.")],
        )

    @classmethod
    def fingerprint_inputs(cls, recipe_id, steps):
        return recipes_stamp()

    @classmethod
    def execute(cls, recipe_id, steps) -> io.NodeOutput:
        recipe = chosen(recipe_id).with_steps(steps)
        return io.NodeOutput(recipe, table(settings(recipe) + cautions(recipe)))


class FewStepIdentify(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepIdentify",
            display_name="Identify (FewStep)",
            description=(
                "Says which distilled model a file is, what it needs and why, from its header "
                "alone: in a blink, also for files of many gigabytes."
            ),
            search_aliases=["identify", "what is this", "metadata", "which lora", "inspect"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=files.names(files.ALL),
                    tooltip="A file of ComfyUI's folders for LoRAs, diffusion models, checkpoints.",
                ),
                io.Boolean.Input(
                    "hash",
                    optional=True,
                    default=False,
                    tooltip=(
                        "Read the whole file and compare its SHA-256 with those of published "
                        "files. Takes seconds for each gigabyte, once: it is remembered until the "
                        "file changes."
                    ),
                ),
            ],
            outputs=[recipe_output(), report_output("What the file is, why, and what is open.")],
            has_intermediate_output=True,
        )

    @classmethod
    def fingerprint_inputs(cls, file, hash=False):
        return file_stamp(file, files.ALL)

    @classmethod
    def execute(cls, file, hash=False) -> io.NodeOutput:
        path = files.path_of(file, files.ALL)
        header = read_header(path)
        sha256 = files.hashed(path) if hash else None
        found = identified(header, path, sha256)
        return with_facts(found.recipe, told(found, path.name), **of_file(found, file))

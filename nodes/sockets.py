"""The recipe as it travels between nodes, and the inputs and outputs that nodes have in common."""

from comfy_api.latest import io

from .known import STOP, WARN

RecipeSocket = io.Custom("FEWSTEP_RECIPE")
RECIPE_TOOLTIP = "What the model must be given; goes into Apply (FewStep) or Sample (FewStep)."


def recipe_output():
    return RecipeSocket.Output(display_name="recipe", tooltip=RECIPE_TOOLTIP)


def report_output(tooltip: str):
    return io.String.Output(display_name="report", tooltip=tooltip)


def model_and_recipe_inputs():
    """What is sampled, and how."""
    return [
        io.Model.Input("model", tooltip="The distilled model, after all its LoRAs."),
        RecipeSocket.Input("recipe", tooltip="What it needs, from its loader."),
    ]


def guidance_input():
    return io.Float.Input(
        "guidance",
        default=0.0,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip=(
            "cfg, or the guidance that the network is told, as the model has it. 0 takes what "
            "Guidance (FewStep) has set, else the recipe's own. 1 is no guidance."
        ),
    )


def sampling_inputs():
    """How a model is sampled: by a recipe, or by hand."""
    return [
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="With sampler and sigmas; a recipe sets its own. 1 is no guidance.",
        ),
        guidance_input(),
        RecipeSocket.Input(
            "recipe",
            optional=True,
            tooltip="Of a distilled model, from its loader: sets sampler, steps and cfg.",
        ),
        io.Sampler.Input(
            "sampler", optional=True, tooltip="Without a recipe, such as KSamplerSelect's."
        ),
        io.Sigmas.Input(
            "sigmas", optional=True, tooltip="Without a recipe, such as BasicScheduler's."
        ),
    ]


def prompt_inputs():
    """Prompts of the user's own, from a box or a file, and how many of all."""
    return [
        io.String.Input(
            "text",
            default="",
            multiline=True,
            tooltip="For source text: one prompt a line, lines that begin with # left out.",
        ),
        io.String.Input(
            "file", default="", tooltip="For source file: its name in ComfyUI's input folder."
        ),
        io.Int.Input(
            "count",
            default=0,
            min=0,
            max=100000,
            tooltip="How many prompts, from the first on. 0 takes all.",
        ),
    ]


def loading_inputs():
    """How a file is taken that may or may not tell what it is."""
    return [steps_input(), _if_unsure_input(), _known_recipe_input()]


def _known_recipe_input():
    return RecipeSocket.Input(
        "recipe",
        optional=True,
        tooltip=(
            "Only where the file does not tell what it is: Recipe (FewStep) says it by hand, and "
            "the file is not asked."
        ),
    )


def steps_input():
    return io.Int.Input(
        "steps",
        default=0,
        min=0,
        max=1000,
        tooltip="Network passes. 0 takes the number that the file was made for.",
    )


def _if_unsure_input():
    return io.Combo.Input(
        "if_unsure",
        options=[STOP, WARN],
        default=STOP,
        tooltip=(
            "What happens where the file does not tell what it is, or fits only in part. stop: an "
            "error that says why. warn: it is loaded, and the report says what is open."
        ),
    )

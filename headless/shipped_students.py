"""The demo model's students: LoRAs that carry their recipe, each as a pipeline and a method."""

from typing import NamedTuple

from safetensors.torch import load_file

from ..demo import weights
from ..lora.header import read_header
from ..recipes.own import read_own
from ..recipes.recipe import Recipe
from .flow_pipeline import FlowPipeline, load_flow_demo
from .lora import merge
from .pipeline import Pipeline, load_demo
from .results import Method
from .told_unet import add_guidance_input


class Student(NamedTuple):
    """A LoRA of the demo model: how it is sampled, and the recipe that says so."""

    method: Method
    recipe: Recipe

    @property
    def path(self):
        return weights.student_file(self.method.model)

    def load(self) -> Pipeline | FlowPipeline:
        """The demo model of its teacher with the LoRA merged in."""
        tensors = load_file(self.path)
        if self.method.shift is not None:
            pipeline = load_flow_demo()
            merge(pipeline.transformer, tensors, component="transformer")
            return pipeline
        pipeline = load_demo()
        if self.method.guidance is not None:
            add_guidance_input(pipeline.unet)
        merge(pipeline.unet, tensors)
        return pipeline


def shipped_students() -> list[Student]:
    """Those whose files are there, most passes first.

    Raises:
        ValueError: a file has no recipe.
    """
    found = [_student(path) for path in sorted(weights.STUDENTS.glob("*.safetensors"))]
    return sorted(found, key=lambda student: -student.method.passes)


def _student(path):
    recipe = read_own(read_header(path).metadata)
    if recipe is None:
        raise ValueError(f"{path} has no recipe of FewStep; allowed are LoRAs that it has trained.")
    is_told = recipe.guidance.kind == "embedded"
    method = Method(
        path.stem,
        recipe.steps.default,
        1.0,
        recipe.sampler.name,
        recipe.schedule.spacing,
        weights.GUIDANCE if is_told else None,
        recipe.shift,
    )
    return Student(method, recipe)

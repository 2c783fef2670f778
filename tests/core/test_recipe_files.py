"""A file made for each recipe is told by its content and name, and its base is not mistaken."""

import pytest
from header_files import write_sparse
from network_keys import BASE_INPUTS, DISTILLED_INPUTS, file_shapes
from undistilled import BASES

from fewstep.recipes.identify import identify
from fewstep.recipes.names import ENDINGS
from fewstep.recipes.read import read_all

ALL = list(read_all()[0].values())
NEUTRAL = "pytorch_lora_weights"
# recipes whose example names are not told for sure, and why
UNSURE = {
    "hidream-o1-dev-lora": "its layers are named like those of any language model",
}
# recipes whose files hold an input of their own, and so are told without a name
TOLD_BY_TENSORS = {
    "lcm-dreamshaper-v7": "likely",
    "lcm-sdxl": "likely",
    "lcm-ssd-1b": "likely",
    "hunyuan-image-2.1-distilled": "likely",
    # models trained on from it lack a guidance embedding as well
    "flux1-schnell": "unsure",
    "flux1-schnell-checkpoint": "unsure",
}
METADATA = {"sdxl-turbo": {"modelspec.architecture": "stable-diffusion-xl-turbo-v1"}}
PLAIN_NAMES = {
    "sd15": ["v1-5-pruned-emaonly", "realisticVisionV60B1_v51VAE"],
    "sd21": ["v2-1_512-ema-pruned"],
    "sdxl": ["sd_xl_base_1.0", "ponyDiffusionV6XL_v6StartWithThisOne"],
    "ssd-1b": ["SSD-1B-A1111"],
    "sd3": ["sd3.5_large"],
    "flux": ["flux1-dev", "flux1-dev-fp8"],
    "flux2": ["flux2_dev_fp8mixed", "flux-2-klein-base-4b"],
    "qwen-image": ["qwen_image_fp8_e4m3fn"],
    "z-image": ["z_image_bf16"],
    "wan": ["wan2.1_t2v_14B_fp8_e4m3fn"],
    "ltx2": ["ltx-2-19b-dev-fp8"],
    "hunyuan-image": ["hunyuanimage2.1_bf16"],
    "hunyuan-video": ["hunyuanvideo1.5_720p_t2v_fp16"],
    "hidream-i1": ["hidream_i1_full_fp16"],
}


def file(folder, recipe, name, metadata=None):
    """A file of this recipe's content; the ending of its name may be of another format."""
    stem, dot, ending = name.rpartition(".")
    stem = stem if f"{dot}{ending}" in ENDINGS else name
    inputs = DISTILLED_INPUTS.get(recipe.base) if recipe.id in TOLD_BY_TENSORS else None
    shapes = file_shapes(recipe.base, recipe.kind, inputs)
    if recipe.base == "flux" and recipe.id not in TOLD_BY_TENSORS and recipe.kind != "lora":
        shapes |= BASE_INPUTS["flux"]
    return write_sparse(folder / f"{stem}.safetensors", shapes, metadata)


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_a_file_of_the_right_content_and_name_is_told(tmp_path, recipe):
    for name in recipe.examples:
        found = identify(file(tmp_path, recipe, name))
        expected = "unsure" if recipe.id in UNSURE else "likely"
        assert (found.recipe and found.recipe.id, found.confidence) == (recipe.id, expected)
        assert found.kind == recipe.kind
        assert found.base == recipe.base
        assert all(reason.endswith(".") for reason in found.reasons) and found.reasons


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_a_renamed_file_is_told_by_its_content_or_honestly_not(tmp_path, recipe):
    found = identify(file(tmp_path, recipe, NEUTRAL, METADATA.get(recipe.id)))
    expected = "likely" if recipe.id in METADATA else TOLD_BY_TENSORS.get(recipe.id)
    if expected:
        assert (found.recipe and found.recipe.id, found.confidence) == (recipe.id, expected)
    else:
        assert (found.recipe, found.confidence) == (None, "none")
        assert "Nothing in it tells a distilled model" in found.reasons[-1]


def test_a_renamed_file_is_told_by_its_hash_for_certain(tmp_path):
    hashed = [recipe for recipe in ALL if recipe.sha256]
    assert len(hashed) >= 8
    for recipe in hashed:
        path = file(tmp_path, recipe, NEUTRAL)
        for sha256 in recipe.sha256:
            found = identify(path, sha256=sha256)
            assert (found.recipe, found.confidence) == (recipe, "certain")


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_a_base_of_the_same_architecture_is_not_taken_for_the_distilled_model(tmp_path, recipe):
    shapes = file_shapes(recipe.base, recipe.kind, BASE_INPUTS.get(recipe.base))
    usual = [] if recipe.kind == "lora" else PLAIN_NAMES.get(recipe.base, [])
    for name in ["myModel_v3", "add_more_details", *usual]:
        found = identify(write_sparse(tmp_path / f"{name}.safetensors", shapes))
        assert found.recipe is None or found.recipe.id in BASES, name


def test_the_lists_above_name_recipes_that_there_are():
    ids = {recipe.id for recipe in ALL}
    for named in (UNSURE, TOLD_BY_TENSORS, METADATA, BASES):
        assert set(named) <= ids

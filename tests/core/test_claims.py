"""What trainers wrote into a file is read, weighed behind the tensors and before the name."""

import pytest
from header_files import header_with

from fewstep.recipes.claims import Claim, claims, given_names
from fewstep.recipes.identify import judge
from fewstep.recipes.read import read_all
from fewstep.recipes.structure import Structure, structure_of

ALL = list(read_all()[0].values())
XL_LORA = Structure("sdxl", "lora", frozenset(), ("It is a LoRA for sdxl.",))
UNKNOWN_LORA = Structure(None, "lora", frozenset(), ())
NEUTRAL = "pytorch_lora_weights.safetensors"


def found(metadata, structure=XL_LORA, name=NEUTRAL):
    return judge(structure, metadata, name, ALL)


@pytest.mark.parametrize(
    ("value", "base"),
    [
        # kohya-ss/sd-scripts
        ("sd_v1", "sd15"),
        ("sd_v2_v", "sd21"),
        ("sdxl_base_v1-0", "sdxl"),
        ("sd3_m", "sd3"),
        ("flux1", "flux"),
        ("hunyuan-image-2.1", "hunyuan-image"),
        ("chroma", "chroma"),
        # ostris/ai-toolkit
        ("sd_1.5", "sd15"),
        ("sd_2.1", "sd21"),
        ("sdxl_1.0", "sdxl"),
        ("flux2_klein_4b", "flux2"),
        ("zimage", "z-image"),
        ("wan_2.2_14b", "wan"),
        ("qwen_image", "qwen-image"),
        ("hidream_i1", "hidream-i1"),
        ("krea2", "krea2"),
        # kohya-ss/musubi-tuner
        ("Flux.1-dev", "flux"),
        ("hunyuan_video", "hunyuan-video"),
    ],
)
def test_what_trainers_call_an_architecture_is_known(value, base):
    (claim,) = claims({"ss_base_model_version": value})
    assert claim.key == "ss_base_model_version" and claim.value == value
    assert base in claim.bases


@pytest.mark.parametrize(
    ("value", "bases"),
    [
        ("stable-diffusion-v1/lora", ("sd15",)),
        ("stable-diffusion-v2-768-v", ("sd21",)),
        ("stable-diffusion-xl-v1-base/lora", ("sdxl", "ssd-1b")),
        ("stable-diffusion-xl-turbo-v1", ("sdxl", "ssd-1b")),
        ("stable-diffusion-v3-medium", ("sd3",)),
        ("stable-diffusion-3-5-large/lora", ("sd3",)),
        ("flux-1-dev/lora", ("flux",)),
        ("wan2.1/lora", ("wan",)),
        ("Qwen-Image-Edit/lora", ("qwen-image", "qwen-image-2.1")),
    ],
)
def test_the_model_specification_names_architectures_too(value, bases):
    entry = {"modelspec.architecture": value}
    assert claims(entry) == [Claim("modelspec.architecture", value, bases)]


@pytest.mark.parametrize("value", ["", "animatediff-sd15", "wanda", "my-sdxl", "v1-sd"])
def test_an_architecture_that_nobody_writes_so_is_no_claim(value):
    assert claims({"modelspec.architecture": value}) == []


def test_names_are_cut_short_and_freed_of_what_a_terminal_obeys():
    given = given_names({"modelspec.title": "x\x1b[2J" + "y" * 500, "ss_output_name": " \n "})
    assert given == {"modelspec.title": "x [2J" + "y" * 115}


def test_metadata_that_agree_with_the_tensors_are_said():
    result = found(
        {"ss_base_model_version": "sdxl_base_v1-0"}, name="sdxl_lightning_4step_lora.safetensors"
    )
    assert (result.recipe.id, result.confidence) == ("sdxl-lightning-4step-lora", "likely")
    assert result.reasons[1] == (
        "Its metadata say sdxl_base_v1-0 (ss_base_model_version); its tensors do not contradict "
        "that."
    )


def test_metadata_that_contradict_the_tensors_make_it_unsure():
    entry = {"ss_base_model_version": "sd_v1"}
    result = found(entry, name="sdxl_lightning_4step_lora.safetensors")
    assert (result.recipe.id, result.confidence) == ("sdxl-lightning-4step-lora", "unsure")
    assert "say sd_v1 (ss_base_model_version); its tensors are those of sdxl." in result.reasons[1]
    assert found(entry).confidence == "unsure"
    assert found({"ss_base_model_version": "sdxl_base_v1-0"}).confidence == "none"


def test_where_the_tensors_are_unknown_the_metadata_choose_the_architecture():
    name = "lcm_lora.safetensors"
    told = found({"ss_base_model_version": "sd_v1"}, UNKNOWN_LORA, name)
    assert (told.recipe.id, told.confidence) == ("lcm-lora-sd15", "unsure")
    assert found({}, UNKNOWN_LORA, name).recipe is None


@pytest.mark.parametrize("key", ["modelspec.title", "ss_output_name"])
def test_a_name_in_the_metadata_tells_what_the_file_name_does_not(key):
    result = found({key: "Hyper-SDXL-8steps-CFG-lora"})
    assert (result.recipe.id, result.confidence) == ("hyper-sdxl-8step-cfg", "likely")
    assert result.reasons[-1].startswith(
        f"The name in its metadata, Hyper-SDXL-8steps-CFG-lora ({key}), is among those of "
    )


def test_a_slash_in_a_title_is_no_folder():
    result = found({"modelspec.title": "sdxl_lightning_4step/LoRA"})
    assert result.recipe.id == "sdxl-lightning-4step-lora"


def test_a_title_and_a_file_name_that_disagree_choose_nothing():
    entry = {"modelspec.title": "Hyper-SDXL-8steps-lora"}
    result = found(entry, name="sdxl_lightning_4step_lora.safetensors")
    assert (result.recipe, result.confidence) == (None, "unsure")
    assert "does not go together" in result.reasons[-1]


def test_a_title_that_is_the_file_name_is_said_once():
    entry = {"ss_output_name": "sdxl_lightning_4step_lora", "modelspec.title": "SDXL_lightning"}
    result = found(entry, name="sdxl_lightning_4step_lora.safetensors")
    assert sum("is among those of" in reason for reason in result.reasons) == 1


def test_a_name_that_two_entries_give_is_said_once():
    entry = {"modelspec.title": "sdxl_lightning_4step_lora"}
    result = found({**entry, "ss_output_name": "SDXL-Lightning-4step-lora"})
    assert result.recipe.id == "sdxl-lightning-4step-lora"
    assert sum("is among those of" in reason for reason in result.reasons) == 1


def test_a_title_that_the_tensors_rule_out_is_said():
    result = found({"modelspec.title": "flux1-schnell"})
    assert (result.recipe, result.confidence) == (None, "unsure")
    assert "flux1-schnell (modelspec.title), speaks of FLUX.1 schnell" in result.reasons[-1]


def test_what_a_lora_was_trained_on_is_not_its_name():
    result = found({"ss_sd_model_name": "dreamshaperXL_lightningDPMSDE.safetensors"})
    assert (result.recipe, result.confidence) == (None, "none")


def test_the_architecture_of_sdxl_turbo_tells_sdxl_turbo():
    whole = Structure("sdxl", "checkpoint", frozenset(), ())
    entry = {"modelspec.architecture": "stable-diffusion-xl-turbo-v1"}
    result = found(entry, whole, "model.safetensors")
    assert (result.recipe.id, result.confidence) == ("sdxl-turbo", "likely")
    assert found({"modelspec.architecture": "stable-diffusion-xl-v1-base"}, whole).recipe is None


DOWN = "lora_unet_down_blocks_2_attentions_0_transformer_blocks_9_attn2_to_k"
BLOCK = "lora_unet_down_blocks_0_resnets_0"


def speed_lora(rank=64, rank_of_time=64, without=()):
    shapes = {
        f"{DOWN}.lora_down.weight": (rank, 2048),
        f"{DOWN}.lora_up.weight": (1280, rank),
        f"{BLOCK}_conv1.lora_down.weight": (rank, 320, 3, 3),
        f"{BLOCK}_conv1.lora_up.weight": (320, rank, 1, 1),
        f"{BLOCK}_time_emb_proj.lora_down.weight": (rank_of_time, 1280),
        f"{BLOCK}_time_emb_proj.lora_up.weight": (320, rank_of_time),
    }
    return {key: shape for key, shape in shapes.items() if not key.split(".")[0].endswith(without)}


def judged(shapes, metadata=None):
    header = header_with(shapes, metadata)
    return judge(structure_of(header), header.metadata, NEUTRAL, ALL)


@pytest.mark.parametrize(
    "metadata", [{}, {"ss_network_alpha": "8.0"}, {"ss_network_alpha": "None"}]
)
def test_rank_64_over_convolutions_and_time_layers_is_a_hint_and_no_more(metadata):
    result = judged(speed_lora(), metadata)
    assert (result.recipe, result.base, result.confidence) == (None, "sdxl", "unsure")
    assert (
        "as an LCM- or Lightning-type LoRA does; which of the two nothing tells"
        in (result.reasons[-1])
    )


@pytest.mark.parametrize(
    ("shapes", "metadata"),
    [
        (speed_lora(rank=32, rank_of_time=32), {}),
        (speed_lora(rank_of_time=32), {}),
        (speed_lora(without=("conv1",)), {}),
        (speed_lora(without=("time_emb_proj",)), {}),
        (speed_lora(), {"ss_network_alpha": "64"}),
    ],
)
def test_another_rank_alpha_or_choice_of_layers_is_no_hint(shapes, metadata):
    result = judged(shapes, metadata)
    assert (result.recipe, result.base, result.confidence) == (None, "sdxl", "none")


def test_the_hint_is_not_given_for_a_network_that_nobody_knows():
    result = judged(speed_lora(without=("attn2_to_k",)))
    assert (result.recipe, result.base, result.confidence) == (None, None, "none")


def test_the_hint_is_not_given_where_a_name_tells():
    structure = structure_of(header_with(speed_lora()))
    result = judge(structure, {}, "lcm-lora-sdxl.safetensors", ALL)
    assert (result.recipe.id, result.confidence) == ("lcm-lora-sdxl", "likely")
    assert not any("Lightning-type" in reason for reason in result.reasons)

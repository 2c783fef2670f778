"""evaluate CONFIG.toml: from files of models to a report, cut off and gone on with."""

import gc
import json
import re
import shutil
import weakref

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler
from lora_files import pair
from safetensors.torch import save_file
from tiny_eyes import alexnet_weights, save_clip
from tiny_pipelines import save_flux, save_sd, save_sdxl

from fewstep.evaluate.compare import psnr, ssim
from fewstep.evaluate.picture_file import read_picture, to_png
from fewstep.evaluate.picture_set import PictureSet
from fewstep.headless import diffusers_contenders
from fewstep.headless.comparison import Compared, check_whole, worst_rows
from fewstep.headless.diffusers_pipeline import load_pipeline
from fewstep.headless.evaluate import main
from fewstep.headless.evaluation_config import Model
from fewstep.headless.model_evaluation import on_device
from fewstep.headless.processes import Processes
from fewstep.recipes.own import KEY, describe
from fewstep.recipes.students import student_recipe

STUDENT = student_recipe("Mine", "segments", "sd15", "eps", steps=2, counts=(2,))
NAMES = ("teacher", "student-2-steps", "xl", "flux")
FILE = """
[golden_set]
source = "rows.csv"
seeds = 2

[pictures]
folder = "found"
batch = 3
device = "cpu"

[[model]]
name = "Teacher"
path = "sd"
steps = 3
cfg = 2.0

[[model]]
name = "student, 2 steps"
path = "sd"
lora = "mine.safetensors"
recipe = "auto"

[[model]]
name = "XL"
path = "sdxl"
steps = 1
cfg = 1.0
scheduler = { class = "LCMScheduler" }

[[model]]
name = "Flux"
path = "flux"
steps = 2
guidance = 3.5

[features]
clip = "clip"
lpips = "alex"
lpips_weights = "alex.pth"
"""
ROWS_OF = [("a red circle", "", 64), ("a blue square", "a star", 64), ("a ring", "", 96)]
ROWS = "prompt,negative,size\na red circle,,64x64\na blue square,a star,64x64\na ring,,96x64\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models, features and the file of a run."""
    found = tmp_path_factory.mktemp("evaluation")
    save_sd(found / "sd")
    save_sdxl(found / "sdxl")
    save_flux(found / "flux")
    save_clip(found / "clip")
    torch.save(alexnet_weights(), found / "alex.pth")
    layer = pair("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q", 1, 16, 16)
    save_file(layer, found / "mine.safetensors", {KEY: json.dumps(describe(STUDENT))})
    (found / "rows.csv").write_text(ROWS)
    (found / "run.toml").write_text(FILE)
    return found


@pytest.fixture(scope="module")
def loaded():
    """The pipelines of the run, as far as they are there still."""
    return []


@pytest.fixture(scope="module")
def whole(folder, loaded):
    """The results of a run that nothing has disturbed."""
    load = diffusers_contenders.load_pipeline

    def watched(*given):
        # nothing of the model before is left
        assert [one for one in loaded if one() is not None] == []
        loaded.append(weakref.ref(pipeline := load(*given)))
        return pipeline

    # so that nothing is gone by chance
    gc.disable()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(diffusers_contenders, "load_pipeline", watched)
        assert main([str(folder / "run.toml"), "--threads", "1"]) == 0
    gc.enable()
    return folder / "found"


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def pixels(folder, row):
    picture = read_picture(folder / f"{row:05d}.png")[0]
    return torch.from_numpy(picture.copy()).movedim(-1, 0) / 255.0


def test_every_model_is_measured_beside_the_first(whole):
    told = json.loads((whole / "results.json").read_text())
    assert (told["prompts"], told["seeds"], told["reference"]) == (3, 2, "Teacher")
    rows = told["contenders"]
    assert [(row["name"], row["passes"]) for row in rows] == [
        ("Teacher", 6),
        ("student, 2 steps", 2),
        ("XL", 1),
        ("Flux", 2),
    ]
    names = ["PSNR (dB)", "SSIM", "LPIPS", "KID x 1000", "CMMD", "FID", "diversity", "Vendi"]
    names += ["CLIP score", "CLIP score, less the reference's"]
    assert [list(row["figures"]) for row in rows[1:]] == [names] * 3
    assert list(rows[0]["figures"]) == ["SSIM", "diversity", "CLIP score"]
    text = (whole / "results.txt").read_text()
    assert "3 prompts are too few for intervals" in text
    assert "PSNR, SSIM and LPIPS mean something only where a student keeps" in text


def test_figures_are_those_of_the_pictures_on_disk(whole):
    folders = [whole / "pictures" / name for name in NAMES[:2]]
    pairs = [[pixels(one, row) for one in folders] for row in range(6)]
    rows = json.loads((whole / "results.json").read_text())["contenders"]
    figures = {name: figure["value"] for name, figure in rows[1]["figures"].items()}
    assert figures["PSNR (dB)"] == pytest.approx(np.mean([psnr(b, a, 1.0) for a, b in pairs]))
    assert figures["SSIM"] == pytest.approx(np.mean([ssim(b, a, 1.0) for a, b in pairs]))
    theirs, ours = (row["figures"]["CLIP score"]["value"] for row in rows[:2])
    assert figures["CLIP score, less the reference's"] == pytest.approx(ours - theirs)
    assert ours > 1.0 and theirs > 1.0


def test_the_page_shows_the_pairs_least_alike_by_lpips(whole):
    page = (whole / "results.html").read_text()
    assert page.count("<img") == 2 * 3 * 6 and "Those that are least alike come first." in page
    assert "lost what their prompt says" not in page
    figures = [part.split("<")[0] for part in page.split("<b>LPIPS ")[1:7]]
    assert figures == sorted(figures, key=float, reverse=True) and len(figures) == 6


def test_a_picture_is_that_of_diffusers_alone_with_the_seed_of_its_row(folder, whole):
    pipeline = DiffusionPipeline.from_pretrained(folder / "sd")
    for row, (prompt, negative, width) in {0: ROWS_OF[0], 3: ROWS_OF[1], 4: ROWS_OF[2]}.items():
        path = whole / "pictures" / "teacher" / f"{row:05d}.png"
        picture, told = read_picture(path)
        (alone,) = pipeline(
            prompt,
            negative_prompt=negative,
            guidance_scale=2.0,
            num_inference_steps=3,
            width=width,
            height=64,
            generator=torch.Generator().manual_seed(told["seed"]),
            output_type="np",
        ).images
        # three were made together, which may change a last bit
        apart = np.abs(np.round(255 * alone) - picture)
        assert apart.max() <= 1 and apart.mean() < 0.01


def test_pictures_say_what_they_were_made_of(whole):
    _, told = read_picture(whole / "pictures" / "student-2-steps" / "00002.png")
    assert told["prompt"] == "a blue square" and told["recipe"] == "in-the-file"
    assert told["scheduler"] == "EulerDiscreteScheduler" and told["call"]["guidance_scale"] == 1.0
    manifest = json.loads((whole / "pictures" / "teacher" / "manifest.json").read_text())
    assert manifest["request"]["batch"] == 3 and manifest["request"]["dtype"] == "float32"


def test_a_run_that_was_cut_off_ends_byte_for_byte_as_one_that_was_not(folder, whole):
    before = contents(whole)
    shutil.rmtree(whole / "pictures" / "xl")
    for name in ("teacher/00001", "student-2-steps/00004"):
        (whole / "pictures" / f"{name}.png").unlink()
    (whole / "results.html").unlink()
    assert main([str(folder / "run.toml"), "--threads", "1"]) == 0
    assert contents(whole) == before


def test_pictures_of_other_settings_are_not_taken_for_these(folder, whole, capsys):
    (folder / "other.toml").write_text(FILE.replace("cfg = 2.0", "cfg = 3.0"))
    assert main([str(folder / "other.toml"), "--threads", "1"]) == 2
    assert "was made with another call" in capsys.readouterr().err


def test_each_model_is_loaded_once_and_gone_before_the_next_is(whole, loaded):
    assert len(loaded) == 4 and all(one() is None for one in loaded)


def test_without_features_there_are_pairs_alone(folder, whole):
    shutil.copytree(whole / "pictures", folder / "plain" / "pictures")
    text = FILE[: FILE.index("[features]")].replace('"found"', '"plain"')
    (folder / "plain.toml").write_text(text)
    assert main([str(folder / "plain.toml"), "--threads", "1"]) == 0
    page = (folder / "plain" / "results.html").read_text()
    figures = [part.split("<")[0] for part in page.split("<b>SSIM ")[1:7]]
    assert figures == sorted(figures, key=float) and len(figures) == 6
    assert "Nothing was measured that tells a loss against Teacher." in page


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("steps = 3", "steps = 0", r"other.toml: \[model\] number 1 steps is 0; allowed is a"),
        ('clip = "clip"', 'clip = "sd"', r"other.toml: \[features\] clip is .* cannot be read"),
        ("cfg = 2.0", "guidance = 2.0", r"other.toml: \[model\] number 1: guidance is 2"),
        ('device = "cpu"', 'device = "tpu"', "device is 'tpu', which this machine does not have"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_picture(folder, capsys, before, after, message):
    text = FILE.replace('"found"', '"refused"').replace(before, after, 1)
    (folder / "other.toml").write_text(text)
    assert main([str(folder / "other.toml")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (folder / "refused").exists()


def test_each_of_several_processes_has_a_device_of_its_own():
    here = Processes(torch.device("cpu"), index=1, of=2)
    with pytest.raises(ValueError, match=r"device is 'cpu', and there are 2 processes, each of"):
        on_device(here, "cpu")
    assert on_device(here, "auto") == here


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("lora_unet_no_such_layer", "mine: lora .*alien.safetensors' cannot be put on the model"),
        ("something_else", "mine: nothing in lora .*alien.safetensors' fits the model"),
    ],
)
def test_a_lora_of_another_model_is_refused(folder, tmp_path, layer, message):
    lora = tmp_path / "alien.safetensors"
    save_file(pair(layer, 1), lora)
    scheduler = EulerDiscreteScheduler()
    with pytest.raises(ValueError, match=message):
        load_pipeline(
            Model("mine", folder / "sd", lora=lora), "unet", scheduler, 1.0, torch.float32
        )


@pytest.mark.parametrize("option", [["--prompts", "2"], ["--out", "x"], ["--only", "tdm 2 steps"]])
def test_options_of_the_demo_model_do_not_go_with_a_file(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mine.toml", *option])
    assert ended.value.code == 2
    assert f"{option[0]} is for the demo model; write it into mine.toml" in capsys.readouterr().err


def test_a_set_that_is_not_whole_is_refused(tmp_path):
    made = PictureSet(tmp_path / "mine", {}, 3)
    made.put(0, to_png(np.zeros((64, 64, 3), np.uint8), {}))
    with pytest.raises(ValueError, match="mine lacks 2 pictures, the first of row 2. Run the same"):
        check_whole(made)


def test_the_worst_pairs_are_told_by_lpips_or_else_by_ssim():
    values = torch.tensor([0.1, 0.9, 0.5])
    assert worst_rows(Compared(values, values, None), 2) == [0, 2]
    assert worst_rows(Compared(values, values, values), 2) == [1, 2]


def test_a_picture_that_somebody_has_changed_is_refused(folder, whole, capsys):
    path = whole / "pictures" / "flux" / "00000.png"
    kept = path.read_bytes()
    path.write_bytes(to_png(np.zeros((32, 64, 3), np.uint8), {}))
    assert main([str(folder / "run.toml"), "--threads", "1"]) == 2
    assert "00000.png is 64 x 32, and its row is 64 x 64" in capsys.readouterr().err
    path.write_bytes(kept)

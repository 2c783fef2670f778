"""Golden sets and their pictures, as nodes and as a user's graph makes them."""

import importlib
import os
import re
import signal
import sys
import time

import numpy
import pytest
import torch
from host.client import Client, PromptError
from host.test_recipe_api import node
from host.test_training_nodes import output, teacher

from fewstep.bootstrap.server import Server, own_base_directory
from fewstep.evaluate.golden_set import Golden, shipped
from fewstep.evaluate.picture_file import read_picture

__all__ = ["output", "teacher"]

SET = {"source": "demo", "text": "", "file": "", "count": 3, "tag": "", "seeds": 2}
SET |= {"width": 128, "height": 128, "scale": 1.0}
STUDENT = "teacher + tdm 2 steps"


@pytest.fixture
def golden_set(host):
    from fewstep.nodes.golden_set import FewStepGoldenSet

    return lambda **changed: FewStepGoldenSet.execute(**(SET | changed)).result


@pytest.fixture
def make(output, host):
    from fewstep.nodes.golden_pictures import FewStepGoldenPictures

    def made(model, clip, vae, golden_set, **changed):
        given = {"name": "mine", "cfg": 1.0, "guidance": 0.0} | changed
        return FewStepGoldenPictures.execute(model, clip, vae, golden_set, **given).result

    return made


def student(host, name="tdm 2 steps"):
    """MODEL, CLIP, VAE and recipe of a variant of Demo Model."""
    demo = importlib.import_module("fewstep.nodes.demo")
    model, clip, vae = demo.FewStepDemoModel.execute(f"teacher + {name}").result[:3]
    loaders = importlib.import_module("fewstep.nodes.loaders")
    path = demo.lora_of(f"teacher + {name}")
    plain = demo.FewStepDemoModel.execute("teacher")[0]
    return model, clip, vae, loaders.load_lora_file(plain, path, path.name).recipe


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- golden sets ----------------------------------------------------------------------------------


def test_a_set_that_comes_along_is_given_with_its_seeds_and_sizes(golden_set):
    found, report = golden_set()
    rows = shipped("demo")[:3]
    assert [golden.prompt for golden in found[::2]] == [golden.prompt for golden in rows]
    assert [golden.seed for golden in found[::2]] == [golden.seed for golden in rows]
    assert report == f"6 pictures of 3 prompts, 128x128, such as: {rows[0].prompt}\n"


def test_sizes_are_scaled_to_multiples_of_32_and_given_where_the_file_says_none(golden_set):
    found, _ = golden_set(source="general", count=20, seeds=1, scale=0.5)
    for golden, row in zip(found, shipped("general"), strict=False):
        for side, whole in zip(golden[4:], row[4:], strict=True):
            assert side % 32 == 0 and abs(side - whole / 2) <= 16
    text, _ = golden_set(source="text", text="a\nb", count=0, seeds=1, width=640, height=384)
    assert text == (Golden("a", None, 0, (), 640, 384), Golden("b", None, 1, (), 640, 384))


def test_a_tag_chooses_rows_before_they_are_counted(golden_set):
    found, _ = golden_set(source="general", tag=" hands ", count=5, seeds=1)
    assert len(found) == 5 and all("hands" in golden.tags for golden in found)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": "mine"}, "source is 'mine'; allowed is one of general, demo, text, file"),
        ({"count": 301}, "count is 301, and there are 300 rows. Choose 1 to 300, or 0 for all"),
        ({"tag": "feet"}, "tag is 'feet'; allowed are those of the set: single-object, two-object"),
        ({"source": "text", "text": "a", "tag": "feet"}, "of the set: it has none"),
        ({"source": "text"}, "text: holds no prompt"),
        ({"source": "file", "file": "../a.txt"}, "file is '../a.txt'; allowed is the name of a"),
        ({"source": "file", "file": "no.txt"}, "no.txt is not there"),
    ],
)
def test_a_set_that_cannot_be_is_refused(golden_set, changed, message):
    with pytest.raises(ValueError, match=message):
        golden_set(**changed)


# --- pictures -------------------------------------------------------------------------------------


def test_pictures_are_those_of_the_sample_node_with_the_rows_own_seed(host, golden_set, make):
    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.host.encoding import encode

    model, clip, vae, recipe = student(host)
    rows, _ = golden_set()
    pictures, report = make(model, clip, vae, rows, recipe=recipe)
    assert re.match(r"6 pictures in\n.*mine\n6 made now, [0-9.]+ s each\n$", report)
    for number in (0, 5):
        (words,) = encode(clip, [rows[number].prompt])
        latent = {"samples": torch.zeros(1, 4, 16, 16)}
        given = words, latent, rows[number].seed, 1.0, 0.0
        with torch.no_grad():
            sampled = FewStepSample.execute(model, recipe, *given)[0]
            expected = (vae.decode(sampled["samples"])[0].clamp(0, 1) * 255).round().numpy()
        found, told = read_picture(pictures.folder / f"0000{number}.png")
        numpy.testing.assert_array_equal(found, expected)
        assert told["prompt"] == rows[number].prompt and told["seed"] == rows[number].seed


def test_pictures_are_headlesses_of_the_same_rows(host, golden_set, make):
    from fewstep.headless.demo_contenders import demo_contenders

    model, clip, vae, recipe = student(host)
    rows, _ = golden_set()
    pictures, _ = make(model, clip, vae, rows, recipe=recipe)
    (contender,) = (one for one in demo_contenders() if one.name == "tdm 2 steps")
    for number, expected in enumerate(contender.load()(rows)):
        found, _ = read_picture(pictures.folder / f"{number:05d}.png")
        assert abs(found.astype(int) - expected.astype(int)).max() <= 2


def test_an_undistilled_model_is_sampled_by_hand_with_negative_prompts(host, teacher, make):
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    model, clip, vae = teacher
    sampler = KSamplerSelect().get_sampler("euler")[0]
    sigmas = BasicScheduler().get_sigmas(model, "normal", 4, 1.0)[0]
    rows = tuple(
        Golden("a red circle", negative, 3, (), 64, 128) for negative in (None, "a blue circle")
    )
    pictures, _ = make(model, clip, vae, rows, sampler=sampler, sigmas=sigmas, cfg=4.0)
    found = [read_picture(pictures.folder / f"0000{k}.png")[0] for k in range(2)]
    assert found[0].shape == found[1].shape == (128, 64, 3)
    assert abs(found[0].astype(int) - found[1]).max() > 10


def test_what_is_there_is_not_made_again_and_what_has_gone_is(host, golden_set, make):
    from fewstep.nodes.golden_pictures import FewStepGoldenPictures

    model, clip, vae, recipe = student(host)
    rows, _ = golden_set()
    pictures, _ = make(model, clip, vae, rows, recipe=recipe)
    whole, stamp = contents(pictures.folder), FewStepGoldenPictures.fingerprint_inputs(name="mine")
    (pictures.folder / "00004.png").unlink()
    assert FewStepGoldenPictures.fingerprint_inputs(name="mine") != stamp
    assert "1 made now" in make(model, clip, vae, rows, recipe=recipe)[1]
    assert contents(pictures.folder) == whole
    assert "all of them were there" in make(model, clip, vae, rows, recipe=recipe)[1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "neither recipe nor sampler and sigmas are connected"),
        ({"sampler": "a sampler"}, "neither recipe nor sampler and sigmas are connected"),
        ({"recipe": "a recipe", "sigmas": "sigmas"}, "recipe is connected, and so is sampler or"),
        ({"name": "../mine"}, "name is '../mine'; allowed are letters"),
    ],
)
def test_what_cannot_be_made_is_refused_before_a_folder_is(
    teacher, golden_set, make, output, changed, message
):
    by_hand = {"sampler": "a sampler", "sigmas": torch.ones(2)} if "name" in changed else {}
    with pytest.raises(ValueError, match=message):
        make(*teacher, golden_set()[0], **(by_hand | changed))
    assert list(output.iterdir()) == []


def test_a_size_that_the_vae_has_not_is_refused_before_a_pass(host, make):
    model, clip, vae, recipe = student(host)
    rows = (Golden("a", None, 0, (), 68, 128),)
    with pytest.raises(ValueError, match="width is 68 and height 128; allowed are multiples of 8"):
        make(model, clip, vae, rows, recipe=recipe)


# --- graphs ---------------------------------------------------------------------------------------


def graph(name, strength=1.0, count=3, seeds=2):
    return {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "set": node("FewStepGoldenSet", **(SET | {"count": count, "seeds": seeds})),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "scaled": node("RescaleCFG", model=["demo", 0], multiplier=strength),
        "sigmas": node(
            "BasicScheduler", model=["demo", 0], scheduler="normal", steps=3, denoise=1.0
        ),
        "made": node(
            "FewStepGoldenPictures",
            model=["scaled", 0],
            clip=["demo", 1],
            vae=["demo", 2],
            golden_set=["set", 0],
            name=name,
            cfg=3.0,
            guidance=0.0,
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
        ),
        "report": node("PreviewAny", source=["made", 1]),
    }


def test_a_graph_makes_them_and_says_in_each_how(server):
    told = server.client.run(graph("told"))["report"]["text"][0]
    folder = server.folder / "output" / "fewstep" / "pictures" / "told"
    assert "6 pictures in" in told and len(contents(folder)) == 7
    provenance = read_picture(folder / "00001.png")[1]
    assert provenance["model"] == "RescaleCFG: 0" and provenance["model.multiplier"] == 1.0
    assert provenance["clip"] == "FewStepDemoModel: 1"
    assert provenance["model.model"] == "as clip: 0"
    assert provenance["sigmas.steps"] == 3 and provenance["cfg"] == 3.0
    # two conditions in each step
    assert provenance["passes"] == 6
    assert not [way for way in provenance if way.startswith(("golden_set", "name"))]


def test_a_graph_that_has_changed_is_refused_with_what_has_changed(server):
    server.client.run(graph("changed", seeds=1))
    with pytest.raises(PromptError, match="made with another model.multiplier: 1.0, and now it is"):
        server.client.run(graph("changed", seeds=1, strength=0.5))
    with pytest.raises(PromptError, match="made with another golden set"):
        server.client.run(graph("changed"))


@pytest.mark.newest
def test_comfyui_killed_ends_with_the_set_that_was_never_killed(comfyui, server, tmp_path):
    server.client.run(graph("whole", count=6))
    written = server.folder / "output"
    whole, made = (written / "fewstep/pictures" / name for name in ("whole", "killed"))
    arguments = ["--cpu", *own_base_directory(tmp_path), "--output-directory", written]
    with Server(comfyui, sys.executable, tmp_path, arguments=arguments, shim=True) as running:
        running.wait_until_ready()
        Client(running.url).queue(graph("killed", count=6))
        deadline = time.monotonic() + 120
        while len(list(made.glob("*.png"))) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
    assert len(contents(made)) < 13
    # another process goes on
    server.client.run(graph("killed", count=6))
    assert contents(made) == contents(whole) and len(contents(made)) == 13

"""Two sets of golden pictures beside each other, measured by the node and by hand."""

import json
import shutil

import numpy
import pytest
import torch
from host.test_golden_nodes import SET, graph, make, student
from host.test_recipe_api import node
from host.test_training_nodes import output, teacher
from html_reader import Reader

from fewstep.evaluate.picture_file import read_picture, to_png

__all__ = ["make", "output", "teacher"]


@pytest.fixture
def clip_vision(host, tmp_path):
    """A tiny CLIP_VISION of the core's own class, as wide as the demo model's text features."""
    import comfy.clip_vision

    config = {"hidden_size": 32, "image_size": 32, "intermediate_size": 64, "model_type": KIND}
    config |= {"num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 8}
    config |= {"num_channels": 3, "projection_dim": 128, "hidden_act": "quick_gelu"}
    config |= {"layer_norm_eps": 1e-5}
    torch.manual_seed(0)
    # as a file, since 0.3.64 takes no other
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = comfy.clip_vision.ClipVisionModel(str(tmp_path / "config.json"))
    weights = {name: 0.2 * torch.randn(value.shape) for name, value in made.get_sd().items()}
    made.load_sd(weights)
    return made


KIND = "clip_vision_model"


@pytest.fixture
def evaluate(host, output):
    from fewstep.nodes.evaluate import FewStepEvaluate

    def evaluated(reference, pictures, worst=2, **given):
        return FewStepEvaluate.execute(reference, pictures, worst, **given).result

    return evaluated


@pytest.fixture(scope="module")
def originals(host, tmp_path_factory):
    """Pictures of 8 and of 2 steps, of 10 prompts with two seeds each."""
    import folder_paths

    from fewstep.nodes.golden_pictures import FewStepGoldenPictures
    from fewstep.nodes.golden_set import FewStepGoldenSet

    rows, made = FewStepGoldenSet.execute(**(SET | {"count": 10}))[0], []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(folder_paths, "output_directory", str(tmp_path_factory.mktemp("output")))
        for name in ("progressive 8 steps", "tdm 2 steps"):
            model, clip, vae, recipe = student(host, name)
            numbers = {"cfg": 1.0, "guidance": 0.0, "recipe": recipe}
            made.append(FewStepGoldenPictures.execute(model, clip, vae, rows, name, **numbers)[0])
    return made


@pytest.fixture
def sets(originals, tmp_path):
    """Copies of them, which may be changed."""
    copies = [one._replace(folder=tmp_path / one.folder.name) for one in originals]
    for one, copy in zip(originals, copies, strict=True):
        shutil.copytree(one.folder, copy.folder)
    return copies


def pixels(pictures, row):
    return read_picture(pictures.folder / f"{row:05d}.png")[0].astype(numpy.float64) / 255


NAMES = ["PSNR (dB)", "SSIM", "KID x 1000", "CMMD", "FID", "diversity", "Vendi", "CLIP score"]


def values(report):
    """Figures by name, as the report says them."""
    lines = [line.partition(": ") for line in report.splitlines()]
    return {name: float(told.split()[0]) for name, _, told in lines if name in NAMES}


def test_pairs_are_measured_and_the_worst_shown_first(sets, evaluate):
    report, images, _ = evaluate(*sets)
    a, b = ([pixels(one, row) for row in range(20)] for one in sets)
    decibel = [-10 * numpy.log10(((x - y) ** 2).mean()) for x, y in zip(a, b, strict=True)]
    found = values(report)
    assert list(found) == NAMES[:2]
    assert found["PSNR (dB)"] == pytest.approx(numpy.mean(decibel), abs=0.006)
    assert report.startswith("tdm 2 steps beside progressive 8 steps: 20 pictures of 10 prompts")
    assert "PSNR and SSIM mean something only where a student keeps" in report
    from fewstep.evaluate.compare import ssim

    like = [
        ssim(*(torch.tensor(p).movedim(-1, 0) for p in pair), 1.0)
        for pair in zip(b, a, strict=True)
    ]
    assert found["SSIM"] == pytest.approx(numpy.mean(like), abs=0.006)
    assert images.shape == (2, 128, 256, 3)
    for image, row in zip(images, numpy.argsort(like)[:2], strict=True):
        both = numpy.concatenate([a[row], b[row]], axis=1)
        numpy.testing.assert_allclose(image.numpy(), both, atol=1e-6)


def test_a_clip_vision_adds_distances_and_diversity(sets, evaluate, clip_vision):
    from fewstep.evaluate.kernel_distance import unbiased

    report, *_ = evaluate(*sets, clip_vision=clip_vision)
    found = values(report)
    assert list(found) == NAMES[:-1]
    see = lambda picture: clip_vision.encode_image(torch.tensor(picture).float()[None])
    seen = [torch.cat([see(pixels(one, row)).image_embeds for row in range(20)]) for one in sets]
    prompts = [row // 2 for row in range(20)]
    expected = 1000 * unbiased(*seen, prompts_a=prompts, prompts_b=prompts).value()
    assert found["KID x 1000"] == pytest.approx(expected, abs=0.06)
    assert "FID of 20 pictures, fewer than 2048, is biased" in report


def test_both_halves_of_a_clip_give_a_score(sets, evaluate, clip_vision, teacher):
    clip = teacher[1]
    report, *_ = evaluate(*sets, clip_vision=clip_vision, clip=clip)
    found = values(report)
    assert 0 <= found["CLIP score"] <= 100
    cosines = []
    for row, golden in enumerate(sets[1].golden_set):
        image = torch.tensor(pixels(sets[1], row)).float()[None]
        seen = clip_vision.encode_image(image).image_embeds[0]
        words = clip.encode_from_tokens(clip.tokenize(golden.prompt), return_pooled=True)[1][0]
        cosines.append(torch.cosine_similarity(seen, words, dim=0).clamp_min(0).item())
    assert found["CLIP score"] == pytest.approx(100 * numpy.mean(cosines), abs=0.006)


def test_figures_go_on_with_those_of_the_reference_and_what_differs(
    sets, evaluate, clip_vision, teacher
):
    *_, measured = evaluate(*sets, clip_vision=clip_vision, clip=teacher[1])
    assert (measured.name, measured.reference) == ("tdm 2 steps", "progressive 8 steps")
    theirs = {name: estimate.value for name, estimate in measured.of_reference.items()}
    assert theirs["SSIM"] == theirs["diversity"] == 1.0
    ours = {name: estimate.value for name, estimate in measured.figures.items()}
    less = ours["CLIP score, less the reference's"]
    assert ours["CLIP score"] - theirs["CLIP score"] == pytest.approx(less)
    # made without a graph, so that nothing is known to differ
    assert measured.change == {}


def test_a_set_beside_its_copy_is_as_like_as_can_be(sets, evaluate, clip_vision, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(sets[0].folder, copy)
    found = values(evaluate(sets[0], sets[0]._replace(folder=copy), clip_vision=clip_vision)[0])
    assert found["PSNR (dB)"] == 100.0 and found["SSIM"] == 1.0
    assert found["diversity"] == 1.0 and found["Vendi"] == found["CMMD"] == found["FID"] == 0.0


def test_pictures_of_several_sizes_are_shown_on_black(host, make, evaluate):
    from fewstep.evaluate.golden_set import Golden

    rows = (Golden("a red circle", None, 0, (), 128, 64), Golden("a star", None, 1, (), 64, 128))
    made = []
    for name in ("tdm 2 steps", "adversarial 1 step"):
        model, clip, vae, recipe = student(host, name)
        made.append(make(model, clip, vae, rows, name=name, recipe=recipe)[0])
    report, images, _ = evaluate(*made)
    assert images.shape == (2, 128, 256, 3)
    assert "Fewer than 10 prompts are too few for intervals" in report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("other set", "of different golden sets, so that there are no pairs. Give both"),
        ("same set", "reference and pictures are both .*tdm 2 steps. Connect two sets"),
        ("missing", "tdm 2 steps lacks 1 pictures, the first of row 4. Run Golden Pictures"),
        ("broken", "00003.png cannot be read as a picture"),
        ("other size", "row 4 is 64 x 48 in tdm 2 steps and 128 x 128 in progressive 8 steps"),
        ("clip alone", "clip is connected and clip_vision is not; a CLIP score needs both"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(sets, evaluate, teacher, change, message):
    reference, pictures, given = *sets, {}
    path = pictures.folder / "00003.png"
    if change == "other set":
        pictures = pictures._replace(golden_set=pictures.golden_set[:-1])
    elif change == "same set":
        reference = pictures
    elif change == "missing":
        path.unlink()
    elif change == "broken":
        path.write_bytes(path.read_bytes()[:200])
    elif change == "other size":
        path.write_bytes(to_png(numpy.zeros((48, 64, 3), numpy.uint8), {}))
    else:
        given = {"clip": teacher[1]}
    with pytest.raises(ValueError, match=message):
        evaluate(reference, pictures, **given)


def test_a_clip_of_another_model_is_refused(sets, evaluate, clip_vision, teacher):
    clip_vision.model.visual_projection = torch.nn.Linear(32, 16)
    with pytest.raises(ValueError, match="clip gives 128 features of a prompt, and clip_vision 16"):
        evaluate(*sets, clip_vision=clip_vision, clip=teacher[1])


def test_a_graph_from_golden_set_to_figures(server):
    two = graph("as it is", count=2, seeds=1)
    other = graph("rescaled", strength=0.5, count=2, seeds=1)
    two["other"] = other["made"]
    two["other"]["inputs"]["model"] = ["half", 0]
    two["half"] = other["scaled"]
    two["figures"] = node("FewStepEvaluate", reference=["made", 0], pictures=["other", 0], worst=12)
    two["report"] = node("PreviewAny", source=["figures", 0])
    two["pairs"] = node("PreviewImage", images=["figures", 1])
    outputs = server.client.run(two)
    assert "rescaled beside as it is: 2 pictures of 2 prompts" in outputs["report"]["text"][0]
    assert [image.size for image in server.client.images(outputs["pairs"])] == [(256, 128)] * 2


def test_a_page_is_kept_and_one_that_says_otherwise_stays(sets, evaluate, output, clip_vision):
    given = {"clip_vision": clip_vision, "worst": 3}
    told = evaluate(*sets, **given)[0].splitlines()[-1]
    (page,) = (output / "fewstep" / "reports").iterdir()
    assert told == f"Page: {page}" and page.name == "tdm 2 steps beside progressive 8 steps.html"
    found = Reader(page.read_text(encoding="utf-8"))
    header, theirs, ours = found.rows
    assert header[:3] == ["", "passes", "SSIM"] and "diversity" in header
    assert (theirs[:2], ours[:2]) == (["progressive 8 steps", "8"], ["tdm 2 steps", "2"])
    assert len(found.all("img")) == 6
    first = page.read_bytes()
    # the same once more, and something else
    assert evaluate(*sets, **given)[0].splitlines()[-1] == told
    assert evaluate(*sets, **(given | {"worst": 2}))[0].endswith("progressive 8 steps 2.html\n")
    assert page.read_bytes() == first and len(list(page.parent.iterdir())) == 2

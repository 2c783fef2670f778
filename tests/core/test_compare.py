import numpy as np
import pytest
import torch

from fewstep.demo.weights import GUIDANCE
from fewstep.demo.world import draw, random_scene, read_caption
from fewstep.headless import demo
from fewstep.headless.compare import (
    FLOW_METHODS,
    METHODS,
    STUDENT,
    TEACHER,
    Method,
    compare,
    demo_captions,
    sample,
    total_passes,
)

FLOW = "flow teacher"


class Painter:
    """A pipeline whose network believes in one latent and whose decoder draws real scenes."""

    def __init__(self):
        self.calls, self.starts = [], []

    def denoiser(self, captions, cfg_scale=1.0, guidance=None):
        def denoise(x, sigma):
            self.calls.append((len(captions), cfg_scale, sigma))
            self.starts += [x.clone()] if sigma > 10 else []
            return torch.zeros_like(x)

        return denoise

    def decode(self, latents):
        rng = np.random.default_rng(0)
        return np.stack([draw(random_scene(rng, 1 + i % 2)) for i in range(len(latents))])


@pytest.fixture(scope="module")
def painters():
    return {TEACHER: Painter(), STUDENT: Painter()}


@pytest.fixture(scope="module")
def measured(painters):
    told = []
    captions = demo_captions(50, seed=0)
    results, decode_seconds = compare(
        painters, captions, seed=3, batch=20, columns=4, on_passes=told.append
    )
    return results, decode_seconds, told


def test_every_method_makes_the_passes_it_promises(painters, measured):
    # three batches, and one step to warm up; the teacher also makes the reference
    steps = {TEACHER: 50 + 8 + 4 + 2 + 50, STUDENT: 8 + 4 + 2 + 1}
    for name, painter in painters.items():
        assert len(painter.calls) == 3 * steps[name] + 1
        assert {cfg for _, cfg, _ in painter.calls} == {GUIDANCE if name == TEACHER else 1.0}


def test_progress_ends_where_it_was_said_to(measured):
    assert sum(measured[2]) == total_passes(50) == 50 * (2 * 100 + 8 + 4 + 2 + 1 + 16 + 8 + 4)


def test_the_first_picture_of_every_row_starts_from_the_same_noise(painters):
    firsts = []
    for painter in painters.values():
        # the first 20 captions by every method, without the warm up's empty noise
        scale = [x[0] / x[0].std() for x in painter.starts if x.any() and len(x) == 20]
        firsts.append(scale[0])
    torch.testing.assert_close(*firsts)


def test_each_row_keeps_the_columns_that_are_shown(measured):
    for result in measured[0]:
        assert result.pictures.shape == (4, 128, 128, 3)
        assert len(result.verdicts) == 4
        assert result.scores["all"].total == 50
        assert result.scores["two-object"].total == 25


def test_ratio_is_the_teachers_time_over_the_rows(measured):
    results, decode_seconds, _ = measured
    assert results[0].ratio == 1.0
    for result in results:
        assert result.ratio == pytest.approx(results[0].seconds / result.seconds)
    assert decode_seconds > 0


def test_equal_pictures_are_at_no_distance(measured):
    # the painter draws the same pictures for the teacher, its reference and everyone else
    assert all(abs(result.distance) < 1e-6 for result in measured[0])


def test_too_few_pictures_have_no_distance(painters):
    results, _ = compare(painters, demo_captions(4, seed=0), seed=3, batch=4, columns=8)
    assert {result.distance for result in results} == {None}


def test_methods_of_ones_own_are_measured_against_the_first_of_them():
    painter = Painter()
    methods = (Method(TEACHER, 4, 3.0), Method(TEACHER, 2, 1.0))
    results, _ = compare(
        {TEACHER: painter}, demo_captions(4, seed=0), seed=3, batch=4, columns=1, methods=methods
    )
    assert [result.method for result in results] == list(methods)
    assert results[1].ratio == pytest.approx(results[0].seconds / results[1].seconds)
    # the first one makes the reference too, and each one has a step to warm up
    taken = [cfg for _, cfg, _ in painter.calls]
    assert (taken.count(3.0), taken.count(1.0)) == (2 * 4 + 1, 2 + 1)
    assert total_passes(4, methods) == 4 * (8 + 8 + 2)


def test_a_flow_model_is_measured_against_its_own_teacher():
    painters = {TEACHER: Painter(), FLOW: Painter()}
    methods = (
        Method(TEACHER, 4, 3.0),
        Method(TEACHER, 2, 1.0),
        Method(FLOW, 3, 5.0, shift=2.0),
        Method(FLOW, 2, 1.0, shift=2.0),
    )
    captions = demo_captions(4, seed=0)
    results, _ = compare(painters, captions, seed=3, batch=4, columns=1, methods=methods)
    assert [result.method for result in results] == list(methods)
    assert results[2].ratio == 1.0
    assert results[3].ratio == pytest.approx(results[2].seconds / results[3].seconds)
    taken = [(cfg, round(sigma, 3)) for _, cfg, sigma in painters[FLOW].calls]
    # levels of 1, 2/3, 1/3 and of 1, 1/2, shifted by 2; the flow teacher makes its own reference
    for step in ((5.0, 0.8), (5.0, 0.5)):
        assert taken.count(step) == 2
    assert (taken.count((5.0, 1.0)), taken.count((1.0, 0.667))) == (3, 1)
    assert total_passes(4, methods) == 4 * (8 + 8 + 2 + 6 + 6 + 2)


def test_captions_alternate_one_and_two_objects_and_come_from_the_seed():
    captions = demo_captions(6, seed=5)
    assert [len(read_caption(text).things) for text in captions] == [1, 2] * 3
    assert captions == demo_captions(8, seed=5)[:6]
    assert captions != demo_captions(6, seed=6)


@pytest.mark.parametrize("method", (*METHODS, *FLOW_METHODS), ids=lambda m: f"{m.model} {m.steps}")
def test_a_perfect_network_is_believed_by_every_method(method):
    x0 = torch.full((1, 4, 16, 16), 0.7)
    noise = torch.ones_like(x0)
    made = sample(lambda x, sigma: x0, method, noise, lambda: noise)
    torch.testing.assert_close(made, x0)


def test_methods_are_those_of_the_demo():
    assert METHODS[0] == Method(TEACHER, 50, GUIDANCE)
    assert [m.passes for m in METHODS] == [100, 8, 4, 2, 1, 16, 8, 4]
    assert [m.passes for m in FLOW_METHODS] == [48, 8]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--pictures", "1"], "--pictures is '1'; allowed is a whole number from 2 to 100000"),
        (["--pictures", "many"], "--pictures is 'many'; allowed is a whole number"),
        (["--seed", "-1"], "--seed is '-1'; allowed is a whole number from 0"),
        (["--threads", "0"], "--threads is '0'; allowed is a whole number from 1 to"),
        (["--steps", "4"], "unrecognized arguments: --steps 4"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(argv, words, capsys):
    with pytest.raises(SystemExit) as end:
        demo.parse(argv)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused_before_anything_is_loaded(
    tmp_path, monkeypatch, capsys
):
    taken = tmp_path / "taken"
    taken.write_text("")
    monkeypatch.setattr(demo.weights, "LCM_LORA", taken)
    assert demo.main(["--out", str(taken)]) == 2
    assert "which cannot be a folder" in capsys.readouterr().err


def test_a_missing_lora_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo.weights, "LCM_LORA", tmp_path / "lcm_lora.safetensors")
    assert demo.main(["--out", str(tmp_path / "out")]) == 2
    assert "no lcm_lora.safetensors in" in capsys.readouterr().err


def test_a_missing_flow_teacher_is_named(tmp_path, monkeypatch, capsys):
    for name in ("unet", "text_encoder", "vae"):
        (tmp_path / name).symlink_to(demo.weights.FOLDER / name)
    monkeypatch.setattr(demo.weights, "FOLDER", tmp_path)
    assert demo.main(["--out", str(tmp_path / "out")]) == 2
    assert "no flow_transformer in" in capsys.readouterr().err

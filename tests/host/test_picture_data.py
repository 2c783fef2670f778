"""A folder of the user's pictures, through the nodes, to a student."""

import re

import numpy
import pytest
import torch
from host.test_training_nodes import output, teacher, watched
from PIL import Image

__all__ = ["output", "teacher"]

CAPTIONS = {"a": "a red circle", "b": "a small green square", "c": "a red circle"}


@pytest.fixture
def inputs(host, tmp_path, monkeypatch):
    """ComfyUI's input folder with three pictures in the folder mine."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    folder = tmp_path / "input" / "mine"
    folder.mkdir(parents=True)
    for k, (name, caption) in enumerate(CAPTIONS.items()):
        picture(k).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(caption, encoding="utf-8")
    return folder


# of the size that the pictures are made to
LATENT = {"samples": torch.zeros(1, 4, 16, 16)}


def picture(k, size=(160, 128)):
    """A smooth picture, each its own."""
    across, down = numpy.linspace(0, 1, size[0]), numpy.linspace(0, 1, size[1])[:, None]
    parts = across * (k + 1) / 3 + 0 * down, down * across, down + 0 * across
    return Image.fromarray((255 * numpy.stack(parts, -1)).astype(numpy.uint8))


@pytest.fixture
def make(output, inputs, teacher):
    """Picture Data's outputs: data and report."""
    from fewstep.nodes.picture_data import FewStepPictureData

    model, clip, vae = teacher
    given = {"model": model, "vae": vae, "clip": clip, "folder": "mine", "caption": ""}
    given |= {"negative": "blue", "width": 128, "height": 128, "steps": 4, "cfg": 3.0, "seed": 5}
    given |= {"name": "mine", "budget_gb": 1.0, "if_distilled": "stop", "cfg_max": 0.0}
    return lambda **changed: FewStepPictureData.execute(**(given | changed)).result


def trajectories(data):
    from fewstep.diffusion.process import VE
    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND, Trajectories

    return Trajectories(Shards.opened(data.folder, KIND), VE)


def test_what_is_kept_is_what_the_hosts_own_nodes_make_of_the_folder(make, inputs, teacher):
    from nodes import CLIPTextEncode, VAEEncode

    model, clip, vae = teacher
    data, report = make()
    kept = trajectories(data)
    assert report == (f"3 pictures of 2 captions, 4 steps at cfg 3, 0.000 GB\nin {data.folder}\n")
    assert data.prompts.texts == ("a red circle", "a small green square")
    assert kept.rows.tolist() == [0, 1, 0] and kept.request.seeds == (5, 6, 7)
    for k, caption in enumerate(CAPTIONS.values()):
        # the middle 128 of 160 columns
        pixels = numpy.asarray(picture(k))[:, 16:144].astype(numpy.float32) / 255
        latent = VAEEncode().encode(vae, torch.from_numpy(pixels)[None])[0]["samples"]
        x0 = model.model.process_latent_in(latent)[0]
        torch.testing.assert_close(kept.x0(torch.tensor([k]))[0], x0, rtol=2e-3, atol=2e-3)
        words, negative = (CLIPTextEncode().encode(clip, text)[0] for text in (caption, "blue"))
        torch.manual_seed(5 + k)
        noise = torch.randn(1, 4, 16, 16)
        for level, sigma in enumerate(kept.request.sigmas[:-1]):
            at = torch.tensor([k]), torch.tensor([level])
            x = x0[None] + sigma * noise
            torch.testing.assert_close(kept.x(*at), x, rtol=2e-3, atol=2e-3 * max(sigma, 1.0))
            guided = host_guided(model, words, negative, x, sigma)
            found = kept.guided_x0(*at)
            torch.testing.assert_close(found, guided, rtol=2e-2, atol=2e-2 * max(sigma, 1.0))


def host_guided(model, positive, negative, x, sigma):
    """The x0 estimate of ComfyUI's own CFGGuider at cfg 3."""
    import comfy.samplers

    guider, seen = comfy.samplers.CFGGuider(model), []
    guider.set_conds(positive, negative)
    guider.set_cfg(3.0)

    def once(model, x, sigmas, extra_args=None, callback=None, disable=None):
        seen.append(model(x, sigmas[:1], **extra_args))
        return x

    sampler = comfy.samplers.KSAMPLER(once)
    noise = x / sigma
    with torch.no_grad():
        latent = torch.zeros_like(x)
        guider.sample(noise, latent, sampler, torch.tensor([sigma, 0.0]), disable_pbar=True)
    return seen[0].float().cpu()


@pytest.mark.parametrize("method", ["guidance", "lcm"])
def test_a_student_of_pictures_is_trained_saved_and_loaded(make, teacher, method):
    from host import training_graph as graph

    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    model, _, vae = teacher
    data, _ = make()
    if method == "guidance":
        lora, losses, recipe, report, images = graph.bake(model, data, vae=vae)
    else:
        lora, losses, recipe, report, images = graph.distill(model, data, method, steps=2)
    assert len(losses["loss"]) == 4 and "the student of iteration 4 is kept" in report
    assert "not trained with" not in report and images.shape == (1, 128, 256, 3)
    name = FewStepSaveLora.execute(lora, recipe, method)[0]
    loaded, found, told = FewStepLoraLoader.execute(model, name, 1.0, 0, "stop").result
    positive = data.prompts.positive[0]
    latent = FewStepSample.execute(loaded, found, positive, LATENT, 5, 1.0, 0.0)[0]
    assert "certain" in told and latent["samples"].isfinite().all()
    # done again it gives the same
    if method == "lcm":
        again = graph.distill(model, data, method, steps=2)
        assert all(torch.equal(lora[key], again[0][key]) for key in lora)


def test_students_are_compared_with_the_teachers_own_pictures_of_the_same_seeds(make, teacher):
    from host import runs
    from host import training_graph as graph

    model = teacher[0]
    data, _ = make()
    # a student that learns nothing and is used at the teacher's steps is the teacher at cfg 1
    still = {"learning_rate": 1e-8, "pictures": 3}
    *_, report, images = graph.bake(model, data, **still)
    sampled = [
        runs.sample(
            model,
            runs.euler(),
            runs.sigmas(model, steps=4),
            LATENT,
            cfg=cfg,
            seed=5 + k,
            positive=data.prompts.positive[row],
            negative=data.prompts.negative,
        )
        for cfg in (3.0, 1.0)
        for k, row in enumerate((0, 1, 0))
    ]
    guided, plain = torch.cat(sampled[:3]), torch.cat(sampled[3:])
    spread = guided.transpose(0, 1).flatten(1).var(1, correction=0).mean()
    error = ((guided - plain).square().mean() / spread).item()
    measured = re.search("iteration 4: error ([0-9.]+), .*variety of seeds ([0-9.]+)", report)
    assert float(measured[1]) == pytest.approx(error, rel=2e-3)
    # and variety is that of the two seeds of one caption, not of two photos
    varied = (plain[0] - plain[2]).norm() / (guided[0] - guided[2]).norm()
    assert float(measured[2]) == pytest.approx(varied.item(), rel=5e-3)
    from fewstep.nodes.host.pictures import side_by_side

    wanted = side_by_side(model, None, [guided], [plain])
    torch.testing.assert_close(images, wanted, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("method", ["segments", "endpoint", "progressive"])
def test_methods_that_need_the_teachers_path_are_refused_before_a_pass(make, teacher, method):
    from host import training_graph as graph

    data, _ = make()
    model, passes = watched(teacher[0])
    with pytest.raises(ValueError, match=f"method is '{method}', .*Allowed with them are guidance"):
        graph.distill(model, data, method, steps=1)
    assert not passes


def test_an_interrupted_node_goes_on_and_gives_the_same_numbers(make, monkeypatch, teacher):
    import comfy.model_management as management

    from fewstep.distill import pictures

    monkeypatch.setattr(
        pictures.make_of_pictures,
        "__kwdefaults__",
        {
            **pictures.make_of_pictures.__kwdefaults__,
            "batch": 1,
        },
    )
    whole = trajectories(make(name="whole")[0])
    model, passes = watched(teacher[0])

    def interrupted():
        # one picture of four levels is whole, and the next is begun
        if len(passes) == 6:
            raise management.InterruptProcessingException

    with monkeypatch.context() as patch:
        patch.setattr(management, "throw_exception_if_processing_interrupted", interrupted)
        with pytest.raises(management.InterruptProcessingException):
            make(name="cut", model=model)
    again = trajectories(make(name="cut", model=model)[0])
    assert len(passes) == 6 + 8
    index = torch.arange(3).repeat(4), torch.arange(4).repeat_interleave(3)
    assert torch.equal(whole.guided_x0(*index), again.guided_x0(*index))
    # all is there: neither encoded nor predicted again
    passes.clear()
    make(name="cut", model=model)
    assert not passes


def test_pictures_that_are_all_there_are_not_encoded_again(make, monkeypatch):
    from fewstep.nodes import picture_data

    read = []

    def counted(*args, _read=picture_data.read_picture):
        read.append(args)
        return _read(*args)

    monkeypatch.setattr(picture_data, "read_picture", counted)
    make()
    assert len(read) == 3
    make()
    assert len(read) == 3


def test_changed_pictures_captions_or_another_vae_are_other_data(make, inputs, teacher):
    make()
    with pytest.raises(ValueError, match="was made with another teacher"):
        make(negative="green")
    picture(7).save(inputs / "b.png")
    with pytest.raises(ValueError, match="was made with another content"):
        make()
    picture(1).save(inputs / "b.png")
    make()
    vae = teacher[2]
    weight = next(vae.first_stage_model.parameters())
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.add_(0.01)
    try:
        with pytest.raises(ValueError, match="was made with another content"):
            make()
    finally:
        with torch.no_grad():
            weight.copy_(kept)


def test_a_node_runs_again_where_its_folder_or_its_data_has_changed(make, inputs):
    from fewstep.nodes.picture_data import FewStepPictureData

    stamp = lambda: FewStepPictureData.fingerprint_inputs(name="mine", folder="mine")
    data, _ = make()
    stamps = [stamp(), stamp()]
    assert stamps[0] == stamps[1]
    (inputs / "b.txt").write_text("another caption")
    stamps.append(stamp())
    picture(2).save(inputs / "d.png")
    stamps.append(stamp())
    next(data.folder.glob("*.safetensors")).unlink()
    stamps.append(stamp())
    assert len(set(stamps)) == 4
    assert FewStepPictureData.fingerprint_inputs(name="never", folder="gone") == "0 "
    assert FewStepPictureData.fingerprint_inputs(name="never", folder="") == "0 "


def test_pictures_of_exactly_the_size_will_do(make):
    assert trajectories(make(width=160, height=128)[0]).request.shape == (4, 16, 20)


def test_a_range_of_cfg_is_kept_of_pictures_too(make):
    kept = trajectories(make(cfg=1.5, cfg_max=7.0)[0])
    assert len(set(kept.request.cfg_scales)) == 3
    assert all(1.5 <= scale <= 7.0 for scale in kept.request.cfg_scales)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"folder": ""}, "folder is ''; allowed is the name of a folder in ComfyUI's input"),
        ({"folder": "../input/mine/../.."}, "allowed is the name of a folder in ComfyUI's input"),
        ({"folder": "gone"}, "gone is not there"),
        ({"width": 132}, "width is 132 and height 128; allowed are multiples of 8 .* 128 and 128"),
        ({"height": 8 * 15 + 6}, "allowed are multiples of 8 for this vae, such as 128 and 128"),
        ({"width": 192, "height": 96}, r"3 of 3 pictures are smaller than 192 x 96: a.png \(160"),
        ({"width": 96, "height": 192}, "3 of 3 pictures are smaller than 96 x 192: a.png"),
        ({"vae": None}, "vae is empty: the checkpoint has no VAE"),
        ({"clip": None}, "clip is empty: the checkpoint has no text encoder"),
        ({"cfg_max": 2.0}, "cfg_max is 2 and cfg 3; allowed is 0 for one cfg"),
        ({"cfg_max": 3.0}, "cfg_max is 3 and cfg 3; allowed is 0 for one cfg"),
        ({"name": "a/b"}, "name is 'a/b'; allowed are letters"),
        ({"if_distilled": "maybe"}, "if_distilled is 'maybe'"),
        (
            {"budget_gb": 0.00001},
            "needs 0.01 GB of disk and 0.00 GB is there. Set the disk budget to 0.01 GB",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_a_pass(make, teacher, output, changed, said):
    model, passes = watched(teacher[0])
    with pytest.raises(ValueError, match=said):
        make(model=model, **changed)
    assert not passes and not (output / "fewstep").exists()


def test_more_pictures_than_the_budget_are_told_how_many_fit(make):
    # 9 states and predictions of 4 x 16 x 16 halves are 18 432 bytes a picture
    with pytest.raises(ValueError, match="Set the number of pictures to 2, or set steps to 3, or"):
        make(budget_gb=0.00005)


def test_broken_files_are_refused_by_name_before_a_pass(make, inputs, teacher):
    model, passes = watched(teacher[0])
    whole = (inputs / "b.png").read_bytes()
    (inputs / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as a picture"):
        make(model=model)
    # one that opens and then ends is found when it is encoded, still before the model
    (inputs / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"b\.png cannot be read as a picture"):
        make(model=model)
    (inputs / "b.png").write_bytes(whole)
    (inputs / "c.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"c\.txt, line 1: no UTF-8 text"):
        make(model=model)
    (inputs / "c.txt").unlink()
    with pytest.raises(ValueError, match=r"c\.png has no caption, as 1 of 3 pictures"):
        make(model=model)
    assert not passes
    assert make(caption="a square")[0].prompts.texts[-1] == "a square"


def test_many_small_pictures_are_named_in_part(make, inputs):
    for k in range(4):
        picture(k, (100, 200)).save(inputs / f"d{k}.png")
    with pytest.raises(ValueError, match=r"7 of 7 .* a\.png .* d1\.png \(100 x 200\), \.\.\.\. En"):
        make(width=512, height=512, caption="any")
    with pytest.raises(ValueError, match=r"4 of 7 .* 104 x 104: d0\.png .* \(100 x 200\)\. En"):
        make(width=104, height=104, caption="any")


def test_a_vae_of_another_model_is_refused(make, teacher):
    class Wide:
        """A VAE of 16 channels."""

        first_stage_model = torch.nn.Linear(1, 1)

        def spacial_compression_encode(self):
            return 8

        def encode(self, image):
            return torch.zeros(1, 16, 16, 16)

    with pytest.raises(ValueError, match="vae gives latents of 16 channels, and model takes 4"):
        make(vae=Wide())


def test_a_picture_is_one_frame_where_latents_are_videos(host):
    from types import SimpleNamespace

    from fewstep.nodes.host.encoding import encode_picture

    latent = torch.arange(2.0 * 3 * 3).view(1, 2, 3, 3)
    for dimensions, shape in ((2, (2, 3, 3)), (3, (2, 1, 3, 3))):
        kind = SimpleNamespace(latent_channels=2, latent_dimensions=dimensions)
        model = SimpleNamespace(
            get_model_object={"latent_format": kind}.get,
            model=SimpleNamespace(process_latent_in=lambda x: 2 * x),
        )
        vae = SimpleNamespace(encode=lambda image: latent.double())
        found = encode_picture(model, vae, None)
        assert torch.equal(found, 2 * latent.view(shape)) and found.dtype == torch.float32


def test_reading_the_files_can_be_cancelled(make, monkeypatch, inputs):
    import comfy.model_management as management

    from fewstep.nodes.host import files

    def interrupted():
        raise management.InterruptProcessingException

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", interrupted)
    with pytest.raises(management.InterruptProcessingException):
        files.content([inputs / "a.png"])


def test_data_that_is_there_needs_no_room_again(make, monkeypatch):
    from types import SimpleNamespace

    from fewstep.nodes import data_order

    data, report = make()
    monkeypatch.setattr(data_order.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert make()[1] == report
    with pytest.raises(ValueError, match="needs 0.01 GB of disk and 0.00 GB is there"):
        make(name="other")


def test_seeds_go_round_after_the_largest(make):
    kept = trajectories(make(seed=2**64 - 1)[0])
    assert kept.request.seeds == (2**64 - 1, 0, 1)


def test_a_distilled_model_is_refused(make, output):
    from fewstep.demo import weights
    from fewstep.nodes.demo import FewStepDemoModel
    from fewstep.nodes.host import applied
    from fewstep.nodes.known import recipes
    from fewstep.recipes.pieces import Applied

    model = FewStepDemoModel.execute("teacher")[0].clone()
    recipe = recipes()["lcm-lora-sd15"]
    applied.note(model, Applied(str(weights.LCM_LORA), "lora", recipe, 1.0, "whole", None))
    with pytest.raises(ValueError, match="distilled already.*set if_distilled to warn"):
        make(model=model)


def test_a_student_of_pictures_and_a_range_of_cfg_is_told_its_guidance(make, teacher):
    from host import training_graph as graph

    data, _ = make(cfg=1.5, cfg_max=7.0)
    lora, losses, recipe, report, _ = graph.bake(teacher[0], data, pictures=2)
    assert recipe.guidance.kind == "embedded" and 1.5 <= recipe.guidance.low < recipe.guidance.high
    assert all(tensor.isfinite().all() for tensor in lora.values())


@pytest.mark.parametrize("method", ["tcd", "ict", "tdm", "dmd", "adversarial"])
def test_other_methods_that_need_no_path_train_on_pictures(make, teacher, method):
    from host import training_graph as graph

    lora, losses, _, report, _ = graph.distill(teacher[0], make()[0], method, steps=2, iterations=2)
    assert len(losses["loss"]) == 2 and "the student of iteration 2 is kept" in report
    assert all(tensor.isfinite().all() for tensor in lora.values())

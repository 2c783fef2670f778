"""Data of several sizes of picture, from the nodes that make it to a saved student."""

import re

import pytest
import torch
from host.test_picture_data import inputs, make
from host.test_recipe_api import node, text
from host.test_training_nodes import equal, output, teacher
from host.training_options import OPTIONS

__all__ = ["inputs", "make", "output", "teacher"]

# height and width of latents
SIZES = (8, 8), (8, 12)
TEXT = "a red circle on a blue background\na small green square"


def latent(height, width):
    return {"samples": torch.zeros(1, 4, height, width)}


@pytest.fixture
def sets(output, teacher):
    """Teacher Data's data of each of SIZES, of the same model and prompts."""
    from host import training_graph as graph

    words = graph.prompts(TEXT, negative="blue", clip=teacher[1])
    return [
        graph.teacher_data(teacher[0], words, latent_image=latent(*size), name=f"size {size[1]}")
        for size in SIZES
    ]


def join(*data, **further):
    """What Join Data gives: data and report."""
    from fewstep.nodes.join_data import FewStepJoinData

    return FewStepJoinData.execute(*data, **further).result


def test_two_sizes_are_joined_distilled_and_saved(sets, output, teacher):
    from host import training_graph as graph

    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    data, report = join(*sets)
    assert report == (
        "4 trajectories; each batch is of one size, by its share:\n"
        "2 with latents of 8 x 8\n2 with latents of 12 x 8\n"
    )
    model, _, vae = teacher
    options = {"iterations": 12, "validate_every": 6, "pictures": 2}
    made = graph.distill(model, data, steps=2, **options)
    lora, losses, recipe, report, images = made
    assert len(losses["loss"]) == 12 and "iteration 6: error" in report
    # two pictures of each size, all on the larger one
    assert images.shape == (4, 64, 192, 3)
    assert (images[:2, :, 128:] == 0).all() and (images[2:, :, 128:] > 0).any()
    again = graph.distill(model, data, steps=2, **options)
    assert equal(lora, again[0]) and again[3].startswith("done before")
    name = FewStepSaveLora.execute(lora, recipe, "two sizes")[0]
    loaded, found, _ = FewStepLoraLoader.execute(model, name, 1.0, 0, "stop").result
    for size in SIZES:
        words = data.prompts.positive[0]
        sampled = FewStepSample.execute(loaded, found, words, latent(*size), 5, 1.0, 0.0)[0]
        assert sampled["samples"].shape[-2:] == size and sampled["samples"].isfinite().all()


@pytest.mark.parametrize("method", ["guidance", "lcm", "tdm", "adversarial"])
def test_other_methods_take_joined_data_too(sets, teacher, method):
    from host import training_graph as graph

    data, _ = join(*sets)
    if method == "guidance":
        lora, *_ = graph.bake(teacher[0], data)
    else:
        lora, *_ = graph.distill(teacher[0], data, method)
    ups = [value for name, value in lora.items() if name.endswith("lora_up.weight")]
    assert ups and all(up.abs().sum() > 0 for up in ups)


def test_students_are_measured_at_every_size_and_the_mean_is_told(sets, teacher):
    from host import runs
    from host import training_graph as graph

    model, words = teacher[0], sets[0].prompts
    data, _ = join(*sets)
    # a student that learns nothing and is used at the teacher's steps is the teacher at cfg 1
    report = graph.bake(model, data, learning_rate=1e-8, pictures=2)[3]
    errors = []
    for size in SIZES:
        guided, plain = (
            torch.cat(
                [
                    runs.sample(
                        model,
                        runs.euler(),
                        runs.sigmas(model, steps=4),
                        latent(*size),
                        cfg=cfg,
                        seed=5 + k,
                        positive=words.positive[k],
                        negative=words.negative,
                    )
                    for k in range(2)
                ]
            )
            for cfg in (4.0, 1.0)
        )
        spread = guided.transpose(0, 1).flatten(1).var(1, correction=0).mean()
        errors.append(((guided - plain).square().mean() / spread).item())
    found = float(re.search("iteration 4: error ([0-9.]+)", report)[1])
    assert found == pytest.approx(sum(errors) / 2, rel=5e-3)
    assert errors[0] != pytest.approx(errors[1], rel=5e-2)


def test_data_that_is_joined_already_is_joined_with_more(sets, teacher):
    from host import training_graph as graph

    third = graph.teacher_data(teacher[0], sets[0].prompts, latent_image=latent(12, 8), name="high")
    flat, report = join(*sets, data_3=third, data_8=None)
    assert flat.folders == (sets[0].folder, sets[1].folder, third.folder)
    assert join(join(*sets)[0], third) == (flat, report) and "2 with latents of 8 x 12" in report


def test_pictures_of_two_sizes_are_joined(make, teacher):
    from host import training_graph as graph

    parts = [make(width=width, name=f"{width} wide")[0] for width in (64, 128)]
    data, report = join(*parts)
    assert report.splitlines()[1:] == ["3 with latents of 8 x 16", "3 with latents of 16 x 16"]
    *_, images = graph.distill(teacher[0], data, "lcm")
    assert images.shape == (2, 128, 256, 3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cfg": 5.0}, "data 2 of 2 was made with cfg 5, and data 1 with cfg 4"),
        ({"steps": 6}, "data 2 of 2 was made with 6 steps, and data 1 with 4"),
        ({"cfg_max": 7.0}, "data 2 of 2 was made with a range of cfg"),
        ({"negative": "green"}, "data 2 of 2 was made by another model, .* other prompts"),
    ],
)
def test_data_that_do_not_go_together_are_refused(sets, teacher, changed, said):
    from host import training_graph as graph

    negative = changed.pop("negative", "blue")
    words = graph.prompts(TEXT, negative=negative, clip=teacher[1])
    given = {"latent_image": latent(8, 12), "name": "other", **changed}
    other = graph.teacher_data(teacher[0], words, **given)
    with pytest.raises(ValueError, match=said):
        join(sets[0], other)


def test_the_same_data_twice_and_data_that_has_gone_are_refused(sets):
    with pytest.raises(ValueError, match="data 2 of 2 is there twice"):
        join(sets[0], sets[0])
    with pytest.raises(ValueError, match="holds no teacher trajectories"):
        join(sets[0], sets[1]._replace(folder=sets[1].folder / "gone"))


def test_sdxl_is_told_each_size_of_latents_as_comfyui_tells_it(host):
    from comfy import samplers
    from host import cached_runs

    from fewstep.distill.network import guided_denoiser
    from fewstep.nodes.host.training import network_of

    net, sigma = cached_runs.network("SDXL"), torch.tensor([2.0])
    generator = torch.Generator().manual_seed(0)
    noisy = [torch.randn(1, 4, *size, generator=generator) for size in ((16, 16), (8, 32))]
    seen = []

    def sampler(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        seen.append(wrapped(noisy[len(seen)], sigma, **extra_args))
        return x

    for x in noisy:
        guider = samplers.CFGGuider(net.model)
        guider.set_conds(net.positive, net.negative)
        guider.set_cfg(3.0)
        empty = torch.zeros_like(x)
        guider.sample(empty, empty, samplers.KSAMPLER(sampler), torch.tensor([2.0, 0.0]))
    with network_of(net.model, [net.positive], net.negative) as network, torch.no_grad():
        predict = guided_denoiser(network, torch.tensor([0]), torch.tensor([3.0]))
        for x, expected in zip(noisy, seen, strict=True):
            torch.testing.assert_close(predict(x, sigma), expected, rtol=1e-4, atol=1e-4)


def graph_of(sizes):
    """Teacher Data of each size, joined, and two steps distilled of it."""
    words = {"clip": ["demo", 1], "source": "text", "text": TEXT, "file": "", "count": 0}
    teacher = {"steps": 4, "cfg": 4.0, "seeds": 1, "seed": 5, "budget_gb": 1.0}
    student = {"method": "segments", "steps": 2, "name": "two sizes", "options": ["options", 0]}
    both = {"model": ["demo", 0], "if_distilled": "stop"}
    joined = {f"data_{k}": [f"data {name}", 0] for k, name in enumerate(sizes, 1)}
    graph = {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "prompts": node("FewStepPrompts", **words, negative=""),
        "joined": node("FewStepJoinData", **joined),
        "told": text(["joined", 1]),
        "options": node("FewStepTrainOptions", **OPTIONS),
        "steps": node("FewStepDistill", **both, data=["joined", 0], **student, vae=["demo", 2]),
        "report": text(["steps", 3]),
        "pictures": node("PreviewImage", images=["steps", 4]),
    }
    for name, (width, height) in sizes.items():
        given = {"prompts": ["prompts", 0], "latent_image": [f"latent {name}", 0], "name": name}
        graph[f"latent {name}"] = node("EmptyLatentImage", width=width, height=height, batch_size=1)
        graph[f"data {name}"] = node("FewStepTeacherData", **both, **given, **teacher)
    return graph


def test_a_graph_of_two_sizes_gives_one_student(server):
    outputs = server.client.run(graph_of({"square": (64, 64), "wide": (96, 64)}))
    assert "2 with latents of 12 x 8" in outputs["told"]["text"][0]
    assert "the student of iteration 4 is kept" in outputs["report"]["text"][0]
    assert len(outputs["pictures"]["images"]) == 2

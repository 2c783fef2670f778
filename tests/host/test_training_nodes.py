import importlib
import itertools
import json
import math
import re

import pytest
import torch
from safetensors import safe_open


@pytest.fixture
def output(host, tmp_path, monkeypatch):
    """ComfyUI's output folder, empty."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    folders, endings = folder_paths.folder_names_and_paths["loras"]
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, "loras", ([str(tmp_path / "loras")], endings)
    )
    return tmp_path


@pytest.fixture(scope="module")
def teacher(host):
    from fewstep.nodes.demo import FewStepDemoModel

    return FewStepDemoModel.execute("teacher").result


@pytest.fixture
def data(output, teacher):
    from host import training_graph as graph

    return graph.teacher_data(teacher[0], graph.prompts(clip=teacher[1]))


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


def test_a_student_of_one_picture_paints_it_through_the_sampler_node(output, teacher):
    from host import training_graph as graph

    from fewstep.evaluate.compare import psnr
    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    model, clip, vae = teacher
    words = graph.prompts(clip=clip)
    data = graph.teacher_data(model, words)
    long = {"iterations": 150, "batch": 2, "rank": 16, "lora_alpha": 16.0, "learning_rate": 4e-3}
    lora, _, recipe, _, _ = graph.distill(model, data, steps=2, warm_up=10, **long)
    name = FewStepSaveLora.execute(lora, recipe, "two steps")[0]
    loaded, found, report = FewStepLoraLoader.execute(model, name, 1.0, 0, "stop").result
    assert found.steps.default == 2 and "certain" in report
    latent = FewStepSample.execute(loaded, found, words.positive[0], graph.LATENT, 5, 1.0, 0.0)[0]
    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND

    wanted = Shards.opened(data.folder, KIND).tensors("path")[0][-1].float()
    pictures = [
        vae.decode(model.model.process_latent_out(x)) for x in (latent["samples"], wanted[None])
    ]
    ratio = psnr(*(255 * picture[0] for picture in pictures))
    assert ratio > 35


def test_the_teachers_data_is_what_a_guided_euler_run_of_comfyui_gives(output, teacher):
    from host import runs
    from host import training_graph as graph

    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND

    model, clip, _ = teacher
    words = graph.prompts("a red circle\na small green square", negative="blue", clip=clip)
    data = graph.teacher_data(model, words, seeds=2, seed=7, cfg=3.0)
    ends = Shards.opened(data.folder, KIND).tensors("path")
    places = [(0, 7), (0, 8), (1, 9), (1, 10)]
    for end, (row, seed) in zip(ends, places, strict=True):
        sigmas = runs.sigmas(model, steps=4)
        sampled = runs.sample(
            model,
            runs.euler(),
            sigmas,
            graph.LATENT,
            cfg=3.0,
            seed=seed,
            positive=words.positive[row],
            negative=words.negative,
        )
        torch.testing.assert_close(end[-1].float(), sampled[0], rtol=5e-3, atol=5e-3)


def test_an_interrupted_training_goes_on_and_gives_the_same_lora(data, teacher, monkeypatch):
    import comfy.model_management as management
    from host import training_graph as graph

    whole = graph.bake(teacher[0], data, "whole")[0]
    calls = itertools.count()

    def interrupted():
        if next(calls) == 3:
            raise management.InterruptProcessingException

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", interrupted)
    with pytest.raises(management.InterruptProcessingException):
        graph.bake(teacher[0], data, "cut")
    again = graph.bake(teacher[0], data, "cut")[0]
    assert equal(whole, again)


def test_a_run_that_is_done_gives_its_result_again_without_a_step(data, teacher):
    from host import training_graph as graph

    first, again = (graph.bake(teacher[0], data) for _ in range(2))
    assert equal(first[0], again[0]) and first[1] == again[1]


@pytest.mark.parametrize("method", ["segments", "endpoint"])
def test_a_lora_to_start_from_goes_into_the_result(data, teacher, method):
    from host import training_graph as graph

    model = teacher[0]
    base = graph.bake(model, data, "base", learning_rate=1e-2)[0]
    # a student that learns nothing leaves what it started from
    both = graph.distill(model, data, method, base=base, learning_rate=1e-8)[0]
    assert base.keys() == both.keys()
    for key in (key for key in base if key.endswith("lora_up.weight")):
        stem = key.removesuffix("lora_up.weight")

        def change(tensors, stem=stem):
            up, down = tensors[f"{stem}lora_up.weight"], tensors[f"{stem}lora_down.weight"]
            scale = tensors[f"{stem}alpha"] / len(down)
            return scale * up.float().flatten(1) @ down.float().flatten(1)

        assert both[f"{stem}lora_down.weight"].shape[0] == 8
        torch.testing.assert_close(change(both), change(base), rtol=1e-2, atol=1e-3)


def test_a_saved_lora_carries_its_recipe_and_replaces_no_file(data, teacher, output):
    from host import training_graph as graph

    from fewstep.nodes.save_lora import FewStepSaveLora

    lora, losses, recipe, report, pictures = graph.bake(teacher[0], data, vae=teacher[2])
    names = [FewStepSaveLora.execute(lora, recipe, "mine")[0] for _ in range(3)]
    assert names == ["mine.safetensors", "mine_2.safetensors", "mine_3.safetensors"]
    with safe_open(output / "loras" / names[2], "pt") as file:
        told = json.loads(file.metadata()["fewstep.recipe"])
    assert told["family"] == "guidance" and told["steps"] == [4]
    assert told["schedule"] == {"spacing": "trailing"} and told["guidance"]["default"] == 1.0
    assert len(losses["loss"]) == 4 and pictures.shape == (1, 64, 128, 3)
    assert "4 iterations at" in report and "the student of iteration 4 is kept" in report


def test_a_lora_is_saved_with_a_lower_rank(data, teacher, output):
    from host import training_graph as graph

    from fewstep.nodes.save_lora import FewStepSaveLora
    from fewstep.nodes.students import narrowed

    lora, _, recipe, *_ = graph.bake(teacher[0], data)
    for rank, expected in ((1, 1), (1000, 4)):
        saved = FewStepSaveLora.execute(lora, recipe, f"of rank {rank}", rank)[0]
        with safe_open(output / "loras" / saved, "pt") as file:
            assert file.metadata()["ss_network_dim"] == str(expected)
            downs = [file.get_tensor(key) for key in file.keys() if key.endswith("down.weight")]
        assert {len(down) for down in downs} == {expected}
    # of four directions the largest has at least a quarter
    kept = re.match(r"rank 1 keeps ([\d.]+)% of the change of the layer", narrowed(lora, rank=1)[1])
    assert 25.0 <= float(kept[1]) < 100.0
    same, said = narrowed(lora, rank=4)
    assert said.startswith("rank 4 keeps 100.0%") and all(
        tensor.equal(lora[name]) for name, tensor in same.items()
    )


def test_a_lora_is_saved_with_as_low_ranks_as_keep_a_share(data, teacher, output):
    from host import training_graph as graph

    from fewstep.nodes.save_lora import FewStepSaveLora

    lora, _, recipe, *_ = graph.bake(teacher[0], data)
    saved = FewStepSaveLora.execute(lora, recipe, "of 90 percent", energy=0.9)[0]
    with safe_open(output / "loras" / saved, "pt") as file:
        downs = [file.get_tensor(key) for key in file.keys() if key.endswith("down.weight")]
    assert min(map(len, downs)) < 4
    saved = FewStepSaveLora.execute(lora, recipe, "both", 2, 0.9)[0]
    with safe_open(output / "loras" / saved, "pt") as file:
        downs = [file.get_tensor(key) for key in file.keys() if key.endswith("down.weight")]
    assert {len(down) for down in downs} == {1, 2}


def test_files_and_the_shipped_list_are_read(teacher, host, tmp_path, monkeypatch):
    import folder_paths

    from fewstep.nodes.prompts import FewStepPrompts

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "mine.csv").write_text("prompt,negative\na red circle,blue\na square,blue\n")
    prompts, report = FewStepPrompts.execute(teacher[1], "file", "", "mine.csv", 0, "blue").result
    assert prompts.texts == ("a red circle", "a square") and "2 prompts" in report
    shipped = FewStepPrompts.execute(teacher[1], "shipped", "", "", 3, "")[0]
    assert len(shipped.positive) == 3
    with pytest.raises(ValueError, match="prompts have 2 different negatives"):
        FewStepPrompts.execute(teacher[1], "file", "", "mine.csv", 0, "green")
    with pytest.raises(ValueError, match="name of a file in ComfyUI's input folder"):
        FewStepPrompts.execute(teacher[1], "file", "", "../secret.txt", 0, "")
    with pytest.raises(ValueError, match="source is 'web'"):
        FewStepPrompts.execute(teacher[1], "web", "", "", 0, "")


def test_data_of_another_model_or_other_prompts_is_refused(host, data, teacher):
    from host import training_graph as graph

    other = data._replace(prompts=graph.prompts("a green square", clip=teacher[1]))
    with pytest.raises(ValueError, match="data was made by another model"):
        graph.bake(teacher[0], other)


def test_a_folder_of_other_data_is_refused(host, data, teacher):
    from host import training_graph as graph

    with pytest.raises(
        ValueError, match="was made with another cfg_scales: .*4.0.*, and now it is .*5.0"
    ):
        graph.teacher_data(teacher[0], data.prompts, cfg=5.0)


def test_a_checkpoint_of_the_teachers_data_says_what_it_did_before_there_were_pictures(
    output, data, teacher
):
    from host import training_graph as graph

    graph.bake(teacher[0], data)
    path = output / "fewstep" / "runs" / "student" / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        run = json.loads(file.metadata()["fewstep.checkpoint"])["run"]
    assert run["teacher"] and not {"source", "content"} & set(run)


def test_data_that_has_gone_or_is_damaged_is_refused(host, data, teacher):
    from host import training_graph as graph

    (path,) = data.folder.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its checksum differs"):
        graph.bake(teacher[0], data)
    with pytest.raises(ValueError, match="holds no teacher trajectories"):
        graph.bake(teacher[0], data._replace(folder=data.folder / "gone"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"steps": 3}, "steps is 3, and the teacher's data has 4 steps; allowed are its divisors"),
        ({"rank": 500}, "rank is 500; .* is allowed"),
        ({"layers": "nothing"}, "pattern 'nothing', which fits none"),
        ({"batch": 3, "accumulation": 2}, "batch is 3, which 2 parts"),
        ({"name": "../up"}, "name is '../up'; allowed are letters"),
        ({"optimizer": "adamw 8-bit"}, "Install bitsandbytes"),
        (
            {"method": "magic"},
            "method is 'magic'; allowed is one of segments, endpoint, progressive",
        ),
    ],
)
def test_what_no_training_can_have_is_refused(host, data, teacher, changed, said):
    from host import training_graph as graph

    with pytest.raises(ValueError, match=said):
        graph.distill(teacher[0], data, **changed)


def test_data_without_guidance_has_none_to_bake(output, teacher):
    from host import training_graph as graph

    data = graph.teacher_data(teacher[0], graph.prompts(clip=teacher[1]), cfg=1.0)
    with pytest.raises(ValueError, match="made with cfg 1, which is no guidance"):
        graph.bake(teacher[0], data)


def test_a_run_of_other_data_or_another_base_is_not_gone_on_with(data, teacher):
    from host import training_graph as graph

    model, first = teacher[0], graph.bake(teacher[0], data, "base")[0]
    graph.distill(model, data, base=first)
    with pytest.raises(ValueError, match="a run with base .*, and now it is null"):
        graph.distill(model, data)
    other = graph.teacher_data(model, data.prompts, seed=6, name="other")
    with pytest.raises(ValueError, match="a run with seeds"):
        graph.distill(model, other, base=first)


def watched(model):
    """A copy of a MODEL, and the list that every pass of its network is added to."""
    from comfy.patcher_extension import WrappersMP

    passes = []

    def record(executor, *args, **kwargs):
        passes.append(1)
        return executor(*args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "fewstep.tests", record)
    return model, passes


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"steps": 1}, "a run with steps 2, and now it is 1"),
        ({"learning_rate": 0.5}, "a run with learning_rate 0.001, and now it is 0.5"),
        ({"steps": 3}, "steps is 3"),
        ({"rank": 500}, "rank is 500"),
        ({"batch": 3, "accumulation": 2}, "batch is 3"),
        ({"optimizer": "adamw 8-bit"}, "Install bitsandbytes"),
    ],
)
def test_what_is_refused_is_refused_before_the_first_pass(data, teacher, changed, said):
    from host import training_graph as graph

    model, passes = watched(teacher[0])
    graph.distill(model, data)
    assert passes
    passes.clear()
    with pytest.raises(ValueError, match=said):
        graph.distill(model, data, **changed)
    assert not passes


def test_a_run_that_is_done_only_paints_again(data, teacher):
    from host import training_graph as graph

    model, passes = watched(teacher[0])
    graph.distill(model, data)
    passes.clear()
    report = graph.distill(model, data)[3]
    # the student's two steps of one picture
    assert len(passes) == 2 and report.startswith("done before\n")


def test_latents_that_cannot_be_measured_are_refused_before_the_first_pass(output, teacher):
    from host import training_graph as graph

    model, passes = watched(teacher[0])
    small = {"samples": torch.zeros(1, 4, 2, 2)}
    data = graph.teacher_data(model, graph.prompts(clip=teacher[1]), latent_image=small)
    passes.clear()
    with pytest.raises(ValueError, match="the latents are 2 x 2; 4 x 4 or more is allowed"):
        graph.bake(model, data)
    assert not passes


def test_a_model_that_has_no_gradient_is_refused(data, teacher):
    from comfy.patcher_extension import WrappersMP
    from host import training_graph as graph

    model = teacher[0].clone()
    model.add_wrapper_with_key(
        WrappersMP.DIFFUSION_MODEL,
        "fewstep.tests",
        lambda run, *args, **kw: run(*args, **kw).detach(),
    )
    with pytest.raises(ValueError, match="this model cannot be trained: .*does not require grad"):
        graph.bake(model, data)


def test_the_plan_is_told_before_the_run(data, teacher, monkeypatch):
    from host import training_graph as graph

    from fewstep.nodes import baking

    told = []
    monkeypatch.setattr(baking.texts, "show", lambda node, text: told.append(text))
    graph.bake(teacher[0], data)
    assert told[0].startswith("4 iterations at ") and "; disk " in told[0]
    assert told[1].startswith("1 of 4, ") and "loss student " in told[1]


def test_data_that_has_lost_a_file_is_made_again(data, teacher):
    from host import training_graph as graph

    from fewstep.nodes.teacher_data import FewStepTeacherData

    before = FewStepTeacherData.fingerprint_inputs(name="teacher")
    assert before == FewStepTeacherData.fingerprint_inputs(name="never made")
    (path,) = data.folder.glob("*.safetensors")
    content = path.read_bytes()
    path.unlink()
    assert FewStepTeacherData.fingerprint_inputs(name="teacher") != before
    graph.teacher_data(teacher[0], data.prompts)
    assert path.read_bytes() == content


def test_more_data_than_the_budget_is_refused_before_a_pass(output, teacher):
    from host import training_graph as graph

    words = graph.prompts(clip=teacher[1])
    with pytest.raises(ValueError, match="needs 0.01 GB of disk.*[Ss]et the disk budget to"):
        graph.teacher_data(teacher[0], words, seeds=1000, budget_gb=0.001)
    assert not (output / "fewstep").exists()


def test_a_distilled_teacher_is_refused_unless_forced(output, teacher):
    from host import training_graph as graph

    from fewstep.demo import weights
    from fewstep.nodes.demo import FewStepDemoModel
    from fewstep.nodes.host import applied
    from fewstep.nodes.known import recipes
    from fewstep.nodes.teachers import check_teacher
    from fewstep.recipes.pieces import Applied

    model = FewStepDemoModel.execute("teacher")[0].clone()
    recipe = recipes()["lcm-lora-sd15"]
    applied.note(model, Applied(str(weights.LCM_LORA), "lora", recipe, 1.0, "whole", None))
    with pytest.raises(ValueError, match="distilled already.*set if_distilled to warn"):
        graph.teacher_data(model, graph.prompts(clip=teacher[1]))
    check_teacher(model, "warn")
    with pytest.raises(ValueError, match="if_distilled is 'maybe'"):
        check_teacher(model, "maybe")


def test_a_teacher_that_another_node_guides_is_refused_before_a_pass(output, teacher, monkeypatch):
    from host import training_graph as graph

    model, words = teacher[0].clone(), graph.prompts(clip=teacher[1])
    monkeypatch.setattr(type(model.model), "apply_model", None)
    (rescaled,) = (
        importlib.import_module("comfy_extras.nodes_model_advanced").RescaleCFG().patch(model, 0.7)
    )
    with pytest.raises(ValueError, match="sampler_cfg_function; RescaleCFG .*from before that"):
        graph.teacher_data(rescaled, words)
    for name in ("sampler_post_cfg_function", "sampler_pre_cfg_function"):
        guided = teacher[0].clone()
        getattr(guided, f"set_model_{name}")(lambda args: args["denoised"])
        with pytest.raises(ValueError, match=f"another node's .{name};"):
            graph.teacher_data(guided, words)
    wrapped = teacher[0].clone()
    wrapped.set_model_unet_function_wrapper(lambda apply, options: None)
    with pytest.raises(ValueError, match="model_function_wrapper"):
        graph.bake(wrapped, None)
    assert not (output / "fewstep").exists()


def test_a_training_with_a_bad_number_stops_and_says_where(data, teacher, monkeypatch):
    from host import training_graph as graph

    from fewstep.distill import methods

    calls = itertools.count()

    def diverging(*args, _loss=methods.guidance_loss, **kwargs):
        # two trial iterations and two good ones come first
        return _loss(*args, **kwargs) * (float("nan") if next(calls) == 4 else 1.0)

    monkeypatch.setattr(methods, "guidance_loss", diverging)
    with pytest.raises(ValueError, match="loss of the student is nan at iteration 2"):
        graph.bake(teacher[0], data)
    monkeypatch.undo()


@pytest.mark.parametrize("method", ["progressive", "lcm", "tcd", "pcm", "ict", "tdm", "dmd"])
def test_a_student_of_any_method_is_saved_loaded_and_painted_with(output, data, teacher, method):
    from host import training_graph as graph

    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    model = teacher[0]
    steps = 1 if method == "progressive" else 2
    lora, losses, recipe, report, _ = graph.distill(model, data, method, steps=steps)
    name = FewStepSaveLora.execute(lora, recipe, method)[0]
    loaded, found, told = FewStepLoraLoader.execute(model, name, 1.0, 0, "stop").result
    samplers = {"lcm": "lcm", "ict": "lcm", "dmd": "lcm", "tcd": "tcd"}
    assert found.sampler.name == samplers.get(method, "euler") and "certain" in told
    assert found.schedule.spacing == ("lcm" if method in ("lcm", "ict", "tcd") else "trailing")
    assert found.steps.default == steps
    positive = data.prompts.positive[0]
    latent = FewStepSample.execute(loaded, found, positive, graph.LATENT, 5, 1.0, 0.0)[0]
    assert latent["samples"].isfinite().all() and latent["samples"].std() > 0.05
    assert "the student of iteration 4 is kept" in report
    assert len(losses["loss"]) == (8 if method == "progressive" else 4)


def test_heads_that_judge_train_a_student_too(data, teacher):
    from host import training_graph as graph

    lora, losses, recipe, report, _ = graph.distill(teacher[0], data, "adversarial", steps=1)
    assert recipe.sampler.name == "euler" and all(map(math.isfinite, losses["loss"]))
    assert "method adversarial is experimental" in report
    assert all(tensor.isfinite().all() for tensor in lora.values())


def test_every_stage_of_progressive_leaves_a_lora_with_its_recipe(output, data, teacher):
    from host import training_graph as graph

    from fewstep.lora.header import read_header
    from fewstep.recipes.own import read_own

    report = graph.distill(teacher[0], data, "progressive", steps=1)[3]
    path = output / "fewstep" / "runs" / "student" / "2 steps" / "2 steps.safetensors"
    assert f"the student of 2 steps is in {path}" in report
    assert read_own(read_header(path).metadata).steps.trained == (2,)
    # done again it says the same and makes nothing anew
    assert str(path) in graph.distill(teacher[0], data, "progressive", steps=1)[3]


@pytest.fixture
def ranged(output, teacher):
    from host import training_graph as graph

    words = graph.prompts("a red circle\na small green square", clip=teacher[1])
    return graph.teacher_data(teacher[0], words, seeds=4, cfg=1.5, cfg_max=7.0, name="ranged")


def test_a_student_of_a_range_of_cfg_is_told_its_guidance_in_use(output, ranged, teacher):
    from host import training_graph as graph

    from fewstep.nodes.apply import FewStepSample
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    model, *_ = teacher
    before = set(model.model.state_dict())
    trained = {"iterations": 60, "learning_rate": 4e-3, "rank": 16, "lora_alpha": 16.0, "batch": 4}
    lora, losses, recipe, *_ = graph.bake(model, ranged, "told", **trained)
    assert set(model.model.state_dict()) == before
    low, high = recipe.guidance.low, recipe.guidance.high
    assert recipe.guidance.kind == "embedded" and 1.5 <= low < high <= 7.0
    assert sum("time_embedding.cond_proj" in key for key in lora) == 3
    name = FewStepSaveLora.execute(lora, recipe, "told")[0]
    loaded, found, report = FewStepLoraLoader.execute(model, name, 1.0, 0, "stop").result
    assert "coverage whole" in " ".join(report.split())
    positive = ranged.prompts.positive[0]

    def painted(guidance):
        node = FewStepSample.execute(loaded, found, positive, graph.LATENT, 5, 1.0, guidance)
        return node[0]["samples"]

    own, low, high = (painted(guidance) for guidance in (0.0, 1.5, 7.0))
    assert not torch.equal(low, high)
    assert torch.equal(own, painted(found.guidance.default))
    # the MODEL that it was loaded on knows nothing of it
    assert set(model.model.state_dict()) == before


def test_a_told_lora_shows_its_guidance_from_the_files_own_layer(ranged, output, teacher):
    """What the loader adds to the time embedding is cond_proj of the LoRA, written out."""
    from host import training_graph as graph

    from fewstep.guidance.embedded import guidance_embedding
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    model = teacher[0]
    lora, _, recipe, *_ = graph.bake(model, ranged, "told", learning_rate=1e-2, lora_alpha=3.0)
    name = FewStepSaveLora.execute(lora, recipe, "told")[0]
    loaded = FewStepLoraLoader.execute(model, name, 0.5, 0, "stop")[0]
    projection = loaded.model_options["transformer_options"]["fewstep_cond_proj"]
    stem = "diffusion_model.time_embedding.cond_proj"
    up, down = lora[f"{stem}.lora_up.weight"].float(), lora[f"{stem}.lora_down.weight"].float()
    weight = 0.5 * lora[f"{stem}.alpha"].item() / len(down) * up @ down
    embedding = guidance_embedding(torch.tensor([3.0, 5.0]))
    torch.testing.assert_close(projection(embedding), embedding @ weight.T)


def test_a_range_of_cfg_is_refused_where_it_is_none(output, teacher):
    from host import training_graph as graph

    words = graph.prompts(clip=teacher[1])
    with pytest.raises(ValueError, match="cfg_max is 3 and cfg 4; allowed is 0 for one cfg"):
        graph.teacher_data(teacher[0], words, cfg=4.0, cfg_max=3.0)


def test_a_part_of_the_pictures_is_the_first_of_all_of_them(output, teacher):
    from host import training_graph as graph

    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND

    words = graph.prompts("a red circle\na small green square\na blue star", clip=teacher[1])
    whole, part = (
        Shards.opened(
            graph.teacher_data(teacher[0], words, seeds=2, name=name, **some).folder, KIND
        )
        for name, some in (("whole", {}), ("part", {"pictures": 3}))
    )
    assert part.request["rows"] == [0, 0, 1] and whole.request["rows"] == [0, 0, 1, 1, 2, 2]
    assert part.request["seeds"] == whole.request["seeds"][:3]
    # in the batches of the whole, numbers round otherwise
    for one, other in zip(part.tensors("path"), whole.tensors("path"), strict=False):
        torch.testing.assert_close(one.float(), other.float(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("method", "unused"), [("guidance", True), ("segments", True), ("tdm", False), ("dmd", False)]
)
def test_prompts_without_a_picture_are_told_where_the_method_leaves_them_out(
    output, teacher, method, unused
):
    from host import training_graph as graph

    words = graph.prompts("a red circle\na green square\na blue star", clip=teacher[1])
    data = graph.teacher_data(teacher[0], words, pictures=1)
    if method == "guidance":
        report = graph.bake(teacher[0], data)[3]
    else:
        report = graph.distill(teacher[0], data, method)[3]
    assert ("2 of 3 prompts were not trained with: the data has no pictures" in report) == unused


def test_teacher_data_says_how_many_prompts_it_has_no_pictures_of(output, teacher):
    from host import training_graph as graph

    from fewstep.nodes.teacher_data import FewStepTeacherData

    words = graph.prompts("a red circle\na green square\na blue star", clip=teacher[1])
    given = {"seeds": 2, "steps": 4, "cfg": 4.0, "seed": 5, "budget_gb": 1.0}
    given |= {"if_distilled": "stop"}
    ask = lambda **more: FewStepTeacherData.execute(
        teacher[0], words, graph.LATENT, **(given | more)
    )[1]
    report = ask(name="part", pictures=3)
    assert report.startswith("3 trajectories of 2 prompts, 4 steps at cfg 4, ")
    assert report.endswith("\n1 further prompts are for methods tdm and dmd alone\n")
    for some in ({}, {"pictures": 0}, {"pictures": 6}):
        report = ask(name="whole", **some)
        assert report.startswith("6 trajectories of 3 prompts, ") and "further" not in report


@pytest.mark.parametrize("pictures", [-1, 5])
def test_more_pictures_than_prompts_and_seeds_make_are_refused(output, teacher, pictures):
    from host import training_graph as graph

    words = graph.prompts("a red circle\na green square", clip=teacher[1])
    said = f"pictures is {pictures}, and 2 prompts with 2 seeds make 4; allowed is 1 to 4, or 0"
    with pytest.raises(ValueError, match=said):
        graph.teacher_data(teacher[0], words, seeds=2, pictures=pictures)


def test_more_pictures_than_the_budget_are_told_how_many_fit(output, teacher):
    from host import training_graph as graph

    # 9 states and predictions of 4 x 8 x 8 halves are 4 608 bytes a picture
    words = graph.prompts("a red circle\na green square", clip=teacher[1])
    with pytest.raises(ValueError, match="Set pictures to 2, or set steps to 3, or set the disk"):
        graph.teacher_data(teacher[0], words, seeds=2, pictures=3, budget_gb=0.0000125)
    with pytest.raises(ValueError, match="Set prompts to 1, or set steps to 2, or set the disk"):
        graph.teacher_data(teacher[0], words, seeds=2, budget_gb=0.0000125)


def test_a_told_lora_goes_into_the_input_that_a_network_has_already(ranged, output, teacher):
    from host import training_graph as graph

    from fewstep.nodes.demo import FewStepDemoModel
    from fewstep.nodes.loaders import FewStepLoraLoader
    from fewstep.nodes.save_lora import FewStepSaveLora

    lora, _, recipe, *_ = graph.bake(teacher[0], ranged, "told")
    name = FewStepSaveLora.execute(lora, recipe, "told")[0]
    loaded = FewStepLoraLoader.execute(
        FewStepDemoModel.execute("LCM UNet")[0], name, 1.0, 0, "stop"
    )
    assert "fewstep_cond_proj" not in loaded[0].model_options["transformer_options"]
    assert "diffusion_model.time_embedding.cond_proj.weight" in loaded[0].patches


def test_each_validated_picture_is_told_the_cfg_of_its_trajectory(ranged, teacher, monkeypatch):
    from host import training_graph as graph

    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND
    from fewstep.nodes import validation

    told = []

    def planned(*args, guidance, _plan=validation.plan):
        told.append(guidance)
        return _plan(*args, guidance=guidance)

    monkeypatch.setattr(validation, "plan", planned)
    graph.bake(teacher[0], ranged, "told", pictures=2)
    scales = Shards.opened(ranged.folder, KIND).request["cfg_scales"]
    assert told[:2] == pytest.approx(scales[-2:]) and told[0] != told[1]


def test_a_changed_run_with_heads_is_refused_before_they_see_a_pass(data, teacher):
    from host import training_graph as graph

    model, passes = watched(teacher[0])
    graph.distill(model, data, "adversarial", steps=1)
    passes.clear()
    with pytest.raises(ValueError, match="a run with steps 1, and now it is 2"):
        graph.distill(model, data, "adversarial", steps=2)
    assert not passes

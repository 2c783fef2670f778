"""The demo model's students are made, kept among its weights, and sampled as their files say."""

import pytest
import torch
from flow_files import write_flow_model
from safetensors.torch import load_file, save_file

from fewstep.demo import students, weights
from fewstep.demo.students import FIXED, FLOW, RANGE, STUDENTS, Student, config_of, main
from fewstep.guidance.embedded import COND_PROJ
from fewstep.headless.compare import demo_captions
from fewstep.headless.flow_pipeline import load_flow_demo
from fewstep.headless.pipeline import load_demo
from fewstep.headless.shipped_students import shipped_students


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of work, of weights with a random flow teacher, and of students of an iteration."""
    folder = tmp_path_factory.mktemp("students")
    (folder / "weights").mkdir()
    write_flow_model(folder / "weights", weights.FOLDER, weights.FLOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(students, "TEACHER_STEPS", 4)
        patch.setattr(weights, "FOLDER", folder / "weights")
        patch.setattr(weights, "STUDENTS", folder / "shipped")
        patch.setattr(weights, "LCM_LORA", folder / "lcm_lora.safetensors")
        fixed, told, flow = (paths._replace(captions=6) for paths in (FIXED, RANGE, FLOW))
        few = {
            "two": Student("segments", 2, 1, {"two": "two_steps"}, fixed),
            "onto": Student("lcm", 4, 1, {"onto": "lcm_onto_two"}, fixed, base="two"),
            "lcm": Student("lcm", 4, 1, {"lcm": "lcm_lora"}, fixed),
            "told": Student("guidance", None, 1, {"told": "told_guidance"}, told),
            "flow": Student("segments", 2, 1, {"flow": "flow_two_steps"}, flow),
        }
        patch.setattr(students, "STUDENTS", few)
        assert main([str(folder / "work")]) == 0
    return folder


@pytest.fixture
def shipped(made, monkeypatch):
    monkeypatch.setattr(weights, "STUDENTS", made / "shipped")
    monkeypatch.setattr(weights, "FOLDER", made / "weights")
    return {student.method.model: student for student in shipped_students()}


def test_each_is_sampled_as_its_file_says(shipped):
    methods = {name: student.method[1:] for name, student in shipped.items()}
    assert methods == {
        "two_steps": (2, 1.0, "euler", "trailing", None, None),
        "lcm_onto_two": (4, 1.0, "lcm", "lcm", None, None),
        "told_guidance": (4, 1.0, "euler", "trailing", weights.GUIDANCE, None),
        "flow_two_steps": (2, 1.0, "euler", "trailing", None, weights.FLOW_SHIFT),
    }


def test_the_lcm_lora_lies_where_it_is_looked_for(made, shipped):
    assert "lcm_lora" not in shipped
    assert load_file(made / "lcm_lora.safetensors")


@pytest.mark.parametrize("name", ["two_steps", "told_guidance"])
@torch.no_grad()
def test_a_student_is_its_teacher_with_its_lora(shipped, name):
    student, teacher = shipped[name].load(), load_demo()
    tensors = load_file(shipped[name].path)
    weight = "down_blocks.0.resnets.0.conv1"
    stem = f"lora_unet_{weight.replace('.', '_')}"
    up, down = (tensors[f"{stem}.lora_{part}.weight"].float() for part in ("up", "down"))
    scale = tensors[f"{stem}.alpha"].item() / len(down)
    change = scale * (up.flatten(1) @ down.flatten(1)).view(64, 64, 3, 3)
    found = student.unet.get_submodule(weight).weight - teacher.unet.get_submodule(weight).weight
    torch.testing.assert_close(found, change, rtol=1e-3, atol=1e-6)
    assert change.abs().max() > 0


@torch.no_grad()
def test_a_student_of_the_flow_teacher_is_that_with_its_lora(shipped):
    student, teacher = shipped["flow_two_steps"].load(), load_flow_demo()
    tensors = load_file(shipped["flow_two_steps"].path)
    weight = "single_transformer_blocks.0.proj_mlp"
    up, down = (tensors[f"transformer.{weight}.lora_{part}.weight"].float() for part in "BA")
    found, before = (p.transformer.get_submodule(weight).weight for p in (student, teacher))
    torch.testing.assert_close(found - before, up @ down, rtol=1e-3, atol=1e-6)
    assert (up @ down).abs().max() > 0


@torch.no_grad()
def test_a_told_student_hears_its_guidance(shipped):
    pipeline = shipped["told_guidance"].load()
    # after one iteration it is next to nothing: make it something
    pipeline.unet.get_submodule(COND_PROJ).weight.mul_(1e4)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    said = [
        pipeline.denoiser(demo_captions(1, 0), guidance=told)(x, 1.0) for told in (1.5, 4.0, 7.0)
    ]
    assert not torch.equal(said[0], said[1]) and not torch.equal(said[1], said[2])


def test_what_is_there_is_not_trained_again(made, monkeypatch):
    monkeypatch.setattr(weights, "STUDENTS", made / "shipped")
    monkeypatch.setattr(
        students, "STUDENTS", {"two": Student("segments", 2, 1, {"two": "two_steps"})}
    )
    monkeypatch.setattr(students, "train", lambda *_: pytest.fail("trained again"))
    assert main([str(made / "work"), "two"]) == 0


WAY = Student("segments", 2, 1, {}, FIXED._replace(captions=6))
END = WAY._replace(steps=1, files={"end": "one_step"}, base="way", saved_energy=0.9)


def test_a_base_is_trained_first_and_both_are_saved_in_one(made, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "STUDENTS", tmp_path / "shipped")
    monkeypatch.setattr(students, "TEACHER_STEPS", 4)
    monkeypatch.setattr(students, "STUDENTS", {"way": WAY, "end": END})
    assert main([str(tmp_path), "end"]) == 0
    assert [path.name for path in (tmp_path / "shipped").iterdir()] == ["one_step.safetensors"]
    tensors = load_file(tmp_path / "end.safetensors")
    # of 8 + 8
    ranks = {len(tensor) for name, tensor in tensors.items() if "lora_down" in name}
    assert len(ranks) > 1 and max(ranks) < 16


def test_a_base_that_is_shipped_is_brought(made, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "STUDENTS", made / "shipped")
    way = WAY._replace(files={"way": "two_steps"})
    monkeypatch.setattr(students, "STUDENTS", {"way": way, "end": END._replace(files={})})
    trained = []
    monkeypatch.setattr(students, "run", lambda config, _: trained.append(config.output.name))
    students.train("end", tmp_path / "work")
    assert trained == ["end"]
    found, shipped = tmp_path / "work" / "way.safetensors", made / "shipped/two_steps.safetensors"
    assert found.read_bytes() == shipped.read_bytes()


def test_one_that_is_only_a_base_is_trained_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(students, "STUDENTS", {"way": WAY})
    trained = []
    monkeypatch.setattr(students, "train", lambda name, folder: trained.append(name))
    assert main([str(tmp_path)]) == 0 and not trained
    assert main([str(tmp_path), "way"]) == 0 and trained == ["way"]


def test_a_file_without_a_recipe_is_no_student(made, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "STUDENTS", tmp_path)
    (tmp_path / "lora.safetensors").write_bytes(weights.LCM_LORA.read_bytes())
    assert [student.method.sampler for student in shipped_students()] == ["lcm"]
    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(ValueError, match="plain.safetensors has no recipe of FewStep"):
        shipped_students()


@pytest.mark.parametrize("arguments", [[], ["out", "magic"]])
def test_unknown_students_are_refused(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "train-demo-students needs a folder" in said and ("magic" in said) == bool(arguments)


def test_a_student_whose_teacher_is_not_there_is_refused_by_name_and_else_left_out(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "unet").symlink_to(weights.FOLDER / "unet")
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "STUDENTS", tmp_path / "shipped")
    trained = []
    monkeypatch.setattr(students, "train", lambda name, folder: trained.append(name))
    assert main([str(tmp_path / "work"), "flow stacked"]) == 2
    assert "has no flow_transformer in" in capsys.readouterr().err and not trained
    assert main([str(tmp_path / "work")]) == 0
    assert trained and not any(name.startswith("flow") for name in trained)


@pytest.mark.parametrize("name", list(STUDENTS))
def test_a_student_goes_on_from_one_that_is_made_before_it(name, tmp_path):
    base, before = STUDENTS[name].base, list(STUDENTS)[: list(STUDENTS).index(name)]
    made = {lora for earlier in before for lora in (earlier, *STUDENTS[earlier].files)}
    assert base is None or base in made
    wanted = config_of(name, tmp_path).method.base_lora
    assert wanted == (base and tmp_path / f"{base}.safetensors")

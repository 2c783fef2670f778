import pytest
import torch
from small_setting import small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.lora import Lora
from fewstep.distill.names import EXPERIMENTAL, STEPS
from fewstep.distill.training import Options, Training
from fewstep.distill.ways import WAYS


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path)


@pytest.mark.parametrize("name", list(WAYS))
def test_every_way_leads_to_a_student(setting, name):
    before = None
    for stage in WAYS[name].stages(setting.data, 2):
        method = stage.begin(setting, before)
        Training(method, Options(iterations=1, batch=2)).step()
        before = method.average
        assert isinstance(before, Lora) and stage.steps in stage.counts
        assert list(stage.counts) == sorted(set(stage.counts))
    # the student alone is what comes last in an iteration, after what it learns from
    assert method.turns[-1].learner is method.student


@pytest.mark.parametrize("name", list(WAYS))
def test_what_a_way_begins_with_and_draws_hangs_on_its_seeds_alone(setting, name):
    def drawn(of_torch):
        torch.manual_seed(of_torch)
        before = torch.get_rng_state()
        method = WAYS[name].stages(setting.data, 2)[0].begin(setting, None)
        batch = method.draw(torch.Generator().manual_seed(3), 5)
        assert torch.equal(torch.get_rng_state(), before)
        return [*batch, *(p for turn in method.turns for p in turn.learner.parameters())]

    for one, other in zip(drawn(1), drawn(2), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "steps", "stages"),
    [
        ("segments", 3, [(3, (3,))]),
        ("endpoint", 1, [(1, (1,))]),
        ("progressive", 1, [(2, (2,)), (1, (1,))]),
        ("progressive", 3, [(3, (3,))]),
        ("lcm", 3, [(3, (1, 2, 3, 4, 8))]),
        ("tcd", 2, [(2, (1, 2, 4, 8))]),
        ("guidance", 6, [(6, (6,))]),
    ],
)
def test_stages_say_how_many_passes_their_students_serve_for(tmp_path, name, steps, stages):
    data = small_setting(VE, tmp_path).data
    found = WAYS[name].stages(data, steps)
    assert [(stage.steps, stage.counts) for stage in found] == stages


@pytest.mark.parametrize(
    ("passes", "counts"), [(24, (10, 24)), (11, (10, 11)), (10, (10,)), (4, (4,))]
)
def test_a_baked_guidance_serves_for_the_teachers_steps_down_to_ten(passes, counts):
    (stage,) = WAYS["guidance"].stages_of(passes, passes)
    assert (stage.steps, stage.counts) == (passes, counts)


def test_each_stage_of_progressive_begins_where_the_one_before_ended(setting):
    first, second = WAYS["progressive"].stages(setting.data, 1)
    before = first.begin(setting, None).student
    for up in before.up:
        torch.nn.init.constant_(up, 0.25)
    after = second.begin(setting, before).student
    assert all(torch.equal(a, b) for a, b in zip(before.up, after.up, strict=True))


@pytest.mark.parametrize("name", [name for name in WAYS if name != "guidance"])
def test_steps_that_do_not_divide_the_teachers_are_refused_by_every_way(setting, name):
    with pytest.raises(ValueError, match="steps is 4, and the teacher's data has 6 steps"):
        WAYS[name].stages(setting.data, 4)


def test_students_that_make_their_own_pictures_are_not_judged_by_the_teachers_seeds():
    unpaired = {name for name, way in WAYS.items() if not way.is_paired}
    assert unpaired == {"lcm", "tcd", "ict", *EXPERIMENTAL}
    assert {name for name, way in WAYS.items() if way.is_on_lcm_grid} == {"lcm", "tcd", "ict"}
    assert {name for name, way in WAYS.items() if not way.needs_pictures} == {"tdm", "dmd"}
    assert all(way.name == name for name, way in WAYS.items())
    assert {way.family for way in WAYS.values() if way.name != "guidance"} == {"fewstep"}
    assert WAYS["guidance"].family == "guidance"
    assert ("guidance", *STEPS) == tuple(WAYS) and set(EXPERIMENTAL) < set(STEPS)

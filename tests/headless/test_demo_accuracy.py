"""The shipped demo model is as good as the README says.

The README's figures are of 1,000 pictures. Here, with 48, a claim counts as refuted when it lies
outside the whole 95 % interval. The teacher takes 24 steps, with which it is as right as with 50
(95.5 and 95.9 % of 1,000), in half the time.
"""

import pytest
import torch

from fewstep.demo.judge import read_picture, satisfies
from fewstep.demo.score import score
from fewstep.demo.students import TEACHER_STEPS
from fewstep.demo.weights import GUIDANCE
from fewstep.demo.world import read_caption
from fewstep.evaluate.golden_set import Golden
from fewstep.headless.compare import (
    FLOW_METHODS,
    FLOW_TEACHER,
    STUDENT,
    TEACHER,
    compare,
    demo_captions,
)
from fewstep.headless.demo_contenders import demo_maker
from fewstep.headless.flow_pipeline import load_flow_demo
from fewstep.headless.golden_pictures import batches
from fewstep.headless.pipeline import load_demo
from fewstep.headless.results import Method
from fewstep.headless.shipped_students import shipped_students

BATCH = 16
SEED = 20
CAPTIONS = demo_captions(48, SEED)
BEST = Method(TEACHER, TEACHER_STEPS, GUIDANCE)
NO_GUIDANCE = Method(TEACHER, TEACHER_STEPS, 1.0)
FOUR_STEPS = Method(TEACHER, 4, GUIDANCE)
FOUR_PASSES = Method(TEACHER, 2, GUIDANCE)
FEW = Method(STUDENT, 4, 1.0, "lcm", "lcm")
# shares of captions that are right in benchmarks/RESULTS.md
SHIPPED = {
    FLOW_TEACHER: 0.838,
    "flow_guidance": 0.818,
    "flow_guidance_4_steps": 0.786,
    "guidance": 0.966,
    "progressive_8_steps": 0.934,
    "guidance_4_steps": 0.931,
    "tdm_2_steps": 0.924,
    "progressive_4_steps": 0.898,
    "progressive_2_steps": 0.809,
    "endpoint_4_steps": 0.797,
    "adversarial_1_step": 0.768,
    "progressive_1_step": 0.379,
}


@pytest.fixture(scope="module")
def results():
    """What `run.py demo` measures of the UNet and its students, by Method."""
    pipelines = {TEACHER: load_demo(), STUDENT: load_demo(lora=True)}
    methods = [BEST, NO_GUIDANCE, FOUR_STEPS, FOUR_PASSES, FEW]
    for student in shipped_students():
        if student.method.model in SHIPPED and student.method.shift is None:
            pipelines[student.method.model] = student.load()
            methods.append(student.method)
    with torch.inference_mode():
        measured, _ = compare(
            pipelines, CAPTIONS, seed=SEED, batch=BATCH, columns=1, methods=tuple(methods)
        )
    return {result.method: result for result in measured}


@pytest.fixture(scope="module")
def shares(results):
    """The Score of all captions, by the name of what is shipped.

    Of the flow teacher and its students no distance is claimed, so that the pictures which
    `run.py demo` measures it from are not made.
    """
    known = [one for one in shipped_students() if one.method.model in SHIPPED]
    flow = [(FLOW_METHODS[0], load_flow_demo)]
    flow += [(one.method, one.load) for one in known if one.method.shift is not None]
    found = {method.model: one.scores["all"] for method, one in results.items()}
    return found | {method.model: drawn_right(load(), method) for method, load in flow}


def drawn_right(pipeline, method):
    golden_set = [Golden(caption, None, SEED + row) for row, caption in enumerate(CAPTIONS)]
    wanted, make = [read_caption(caption) for caption in CAPTIONS], demo_maker(pipeline, method)
    pictures = [
        picture
        for rows in batches(golden_set, BATCH)
        for picture in make([golden_set[row] for row in rows])
    ]
    seen = [read_picture(picture) for picture in pictures]
    return score([*map(satisfies, seen, wanted)], wanted)["all"]


@pytest.mark.parametrize(("kind", "claimed"), [("single-object", 0.95), ("two-object", 0.8)])
def test_the_teacher_draws_what_captions_say(results, kind, claimed):
    _, highest = results[BEST].scores[kind].interval
    assert highest >= claimed


def test_the_teacher_needs_its_guidance_and_its_steps(results):
    accuracy = results[BEST].scores["all"].accuracy
    for method, loss in ((NO_GUIDANCE, 0.1), (FOUR_STEPS, 0.2)):
        lowest, _ = results[method].scores["all"].interval
        assert lowest <= accuracy - loss, method


def test_four_passes_of_the_student_are_nearly_as_right_as_its_teacher(results):
    teacher, student = results[BEST].scores["all"], results[FEW].scores["all"]
    assert student.interval[1] >= 0.95 * teacher.accuracy


def test_the_student_is_nearer_to_the_teacher_than_the_teacher_in_as_many_passes(results):
    assert results[FEW].distance <= results[FOUR_PASSES].distance / 5


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_draws_what_captions_say(shares, name):
    assert shares[name].interval[1] >= SHIPPED[name]

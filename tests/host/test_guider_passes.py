"""The passes that FewStepGuider and FewStepSample count are those that the network is asked for."""

import importlib
import logging

import pytest
import torch
from host.guided_runs import (
    EVERYWHERE,
    FIRST,
    LCM,
    ONLY_FIRST,
    PLAIN,
    areas,
    guider,
    passes_logged,
    sampled,
)
from host.test_recipe_runs import RECIPES

MIDDLE = {"cfg": 2.0, "start_percent": 0.2, "end_percent": 0.6}
COUNTED = [
    ("euler", 4, PLAIN, "4 network passes in 4 steps"),
    ("euler", 1, PLAIN, "1 network pass in 1 step"),
    ("euler", 4, EVERYWHERE, "8 network passes in 4 steps: 2 on each"),
    ("euler", 4, ONLY_FIRST, "5 network passes in 4 steps: 2 on 1 of them"),
    ("lcm", 4, ONLY_FIRST, "5 network passes in 4 steps: 2 on 1 of them"),
    # 749 and 499 of 999, 749, 499, 249
    ("euler", 4, MIDDLE, "6 network passes in 4 steps: 2 on 2 of them"),
    ("euler", 4, {"cfg": 2.0, "start_percent": 0.9}, "4 network passes in 4 steps"),
    # cfg 1 inside, 3 outside
    (
        *("euler", 4, {"guidance": 3.0, "cfg": 1.0, **FIRST}),
        "7 network passes in 4 steps: 2 on 3 of them",
    ),
    # heun asks twice a step but in the last, the second time at the level of the next step
    ("heun", 4, PLAIN, "7 network passes in 4 steps"),
    ("heun", 4, ONLY_FIRST, "8 network passes in 4 steps"),
]


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.mark.parametrize(("sampler", "steps", "inputs", "line"), COUNTED)
@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_passes_are_counted_as_the_network_is_asked(
    host, runs, caplog, kind, sampler, steps, inputs, line
):
    caplog.set_level(logging.INFO)
    model, passes = runs.watched(host.tiny_model(kind))
    sigmas = runs.sigmas(model, "trailing", steps)
    sampled(guider(host, model, **inputs), runs.core(sampler), sigmas, runs.empty())
    assert passes_logged(caplog) == [line]
    # each row of the network's calls is one condition of the one picture
    assert sum(len(one.timesteps) for one in passes) == int(line.split()[0])


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        (PLAIN, "8 network passes in 4 steps: 2 on each"),
        # the negative prompt is asked for both areas
        (ONLY_FIRST, "{} network passes in 4 steps: 2 on 3 of them, {} on 1 of them"),
    ],
)
def test_each_area_of_a_prompt_is_a_pass(host, runs, caplog, inputs, line):
    caplog.set_level(logging.INFO)
    model, passes = runs.watched(host.tiny_model())
    sigmas = runs.sigmas(model, "trailing", 4)
    ours = guider(host, model, positive=areas(host), **inputs)
    sampled(ours, runs.euler(), sigmas, runs.empty())
    rows = [len(one.timesteps) for one in passes if one.timesteps[0] == 999]
    total = sum(len(one.timesteps) for one in passes)
    assert total >= 8 and sum(rows) > 1
    assert passes_logged(caplog) == [line.format(total, sum(rows))]


def test_a_pass_is_the_network_once_for_the_whole_batch(host, runs, caplog):
    caplog.set_level(logging.INFO)
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "trailing", 4)
    sampled(guider(host, model, **ONLY_FIRST), runs.euler(), sigmas, runs.empty(3))
    assert passes_logged(caplog) == ["5 network passes in 4 steps: 2 on 1 of them"]


@pytest.mark.parametrize("when", ["on the model", "in the run"])
def test_calls_that_another_node_answers_do_not_count(host, runs, caplog, when):
    extension = importlib.import_module("comfy.patcher_extension")
    wrapping = importlib.import_module("fewstep.nodes.host.wrapping")
    caplog.set_level(logging.INFO)
    kind, answers = extension.WrappersMP.APPLY_MODEL, []

    def answer_the_third(executor, x, *others, **named):
        answers.append(x)
        return x * 0.5 if len(answers) == 3 else executor(x, *others, **named)

    def in_the_run(executor, *arguments, **named):
        wrapping.wrap_run(executor.class_obj, kind, "another", answer_the_third)
        return executor(*arguments, **named)

    model, passes = runs.watched(host.tiny_model())
    if when == "on the model":
        model.add_wrapper_with_key(kind, "another", answer_the_third)
    else:
        model.add_wrapper_with_key(extension.WrappersMP.OUTER_SAMPLE, "another", in_the_run)
    sigmas = runs.sigmas(model, "trailing", 4)
    sampled(guider(host, model), runs.euler(), sigmas, runs.empty())
    assert len(passes) == 3
    assert passes_logged(caplog) == ["3 network passes in 4 steps: 0 on 1 of them"]


def test_calls_of_the_network_that_no_sampler_asked_for_count_too(host, runs, caplog):
    extension = importlib.import_module("comfy.patcher_extension")
    caplog.set_level(logging.INFO)
    words = host.conditioning(1)[0][0]

    def call_first(executor, *arguments, **named):
        guider, options = arguments[0], arguments[2]["model_options"]["transformer_options"]
        x, sigma = torch.zeros(1, 4, 8, 8), torch.ones(1)
        guider.inner_model.apply_model(x, sigma, c_crossattn=words, transformer_options=options)
        return executor(*arguments, **named)

    model = host.tiny_model()
    model.add_wrapper_with_key(extension.WrappersMP.SAMPLER_SAMPLE, "another", call_first)
    sigmas = runs.sigmas(model, "trailing", 4)
    sampled(guider(host, model), runs.euler(), sigmas, runs.empty())
    assert passes_logged(caplog) == ["5 network passes in 4 steps"]


@pytest.mark.parametrize(("guidance", "line"), [(0.0, "4 network"), (2.0, "8 network")])
def test_sample_says_in_its_report_how_many_passes_it_took(host, runs, guidance, line):
    node = importlib.import_module("fewstep.nodes").FewStepSample
    model, passes = runs.watched(host.tiny_model())
    words = host.conditioning(1), runs.empty()
    report = node.execute(model, RECIPES[LCM], *words, 3, 1.0, guidance, host.conditioning(2))[1]
    assert report.splitlines()[-1].startswith(line)
    assert f"{sum(len(one.timesteps) for one in passes)} network" in report

"""The nodes as ComfyUI sees them: schemas, and the opt-in names in KSampler's drop-downs."""

import asyncio
import importlib
import json

import pytest

IDS = {
    "FewStepLoraLoader",
    "FewStepModelLoader",
    "FewStepRecipe",
    "FewStepIdentify",
    "FewStepApply",
    "FewStepSample",
    "FewStepCheck",
    "FewStepGuidance",
    "FewStepGuider",
    "FewStepNegative",
    "FewStepCache",
    "FewStepSigmas",
    "FewStepSamplerLCM",
    "FewStepSamplerTCD",
    "FewStepSamplerEuler",
    "FewStepPrompts",
    "FewStepTeacherData",
    "FewStepPictureData",
    "FewStepJoinData",
    "FewStepTrainOptions",
    "FewStepBakeGuidance",
    "FewStepDistill",
    "FewStepSaveLora",
    "FewStepGoldenSet",
    "FewStepGoldenPictures",
    "FewStepEvaluate",
    "FewStepLedger",
    "FewStepBenchmark",
    "FewStepCompare",
    "FewStepDemoModel",
    "FewStepLiveOutput",
}
# inputs whose choices are the user's files, or more than a page can list
LONG_LISTS = {"lora_name", "model_name", "file", "recipe_id"}


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture
def nodes(host):
    return importlib.import_module("fewstep.nodes").NODES


def inputs_of(node):
    """Name and options of every input, as the frontend gets them."""
    groups = node.INPUT_TYPES()
    return {
        name: (described + ({},))[1]
        for group in ("required", "optional")
        for name, described in groups.get(group, {}).items()
    }


# --- schemas --------------------------------------------------------------------------------------


def test_the_entrypoint_lists_every_node(host):
    async def listed():
        import fewstep

        return await (await fewstep.comfy_entrypoint()).get_node_list()

    ids = [node.GET_SCHEMA().node_id for node in asyncio.run(listed())]
    assert IDS <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_node_is_described_where_people_look(nodes):
    from comfy_api.latest import io

    for node in nodes:
        schema = node.GET_SCHEMA()
        assert schema.node_id == node.__name__
        assert schema.node_id.startswith("FewStep")
        assert schema.category.split("/")[0] == "FewStep"
        assert schema.display_name.endswith("(FewStep)")
        assert schema.description.endswith(".")
        if "search_aliases" in io.Schema.__dataclass_fields__:
            assert schema.search_aliases


def test_every_input_has_a_tooltip(nodes):
    bare = [
        f"{node.__name__}.{name}"
        for node in nodes
        for name, options in inputs_of(node).items()
        if not options.get("tooltip")
    ]
    assert bare == []


def test_every_default_is_allowed(nodes):
    for node in nodes:
        for name, options in inputs_of(node).items():
            # a long list has no default: the page takes its first entry
            if "options" in options and name not in LONG_LISTS:
                assert options["default"] in options["options"], (node, name)
            if "min" in options:
                assert options["min"] <= options["default"] <= options["max"], (node, name)


def test_a_node_with_a_broken_schema_is_left_out_and_the_log_says_why(host, caplog):
    from comfy_api.latest import io

    import fewstep.nodes

    class Twice(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            same = [io.Int.Input("steps"), io.Int.Input("steps")]
            return io.Schema(node_id="FewStepTwice", category="FewStep", inputs=same)

        @classmethod
        def execute(cls, steps):
            return io.NodeOutput()

    class Raises(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            raise TypeError("Schema got an unexpected argument 'colour'")

        @classmethod
        def execute(cls):
            return io.NodeOutput()

    first, *others = fewstep.nodes.NODES
    assert fewstep.nodes.sound([first, Twice, Raises, *others]) == fewstep.nodes.NODES
    assert "FewStep leaves out the node Twice" in caplog.text
    assert "FewStep leaves out the node Raises" in caplog.text
    assert "unexpected argument 'colour'" in caplog.text


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_eta_outside_0_to_1_is_refused(runs, eta):
    with pytest.raises(ValueError, match=r"eta is .*; allowed is 0 \(deterministic\) to 1"):
        runs.tcd(eta)


# --- drop-downs -----------------------------------------------------------------------------------

SAMPLERS = ["fewstep_lcm", "fewstep_tcd"]
SCHEDULERS = ["fewstep_trailing", "fewstep_lcm"]


@pytest.fixture
def lists(host):
    """The host's own lists of samplers and schedulers, put back afterwards."""
    import comfy.samplers as core
    from comfy.k_diffusion import sampling

    kept = {
        name: list(getattr(core, name))
        for name in ("KSAMPLER_NAMES", "SAMPLER_NAMES", "SCHEDULER_NAMES")
    }
    handlers = dict(core.SCHEDULER_HANDLERS)
    yield core
    for name, entries in kept.items():
        getattr(core, name)[:] = entries
    core.SCHEDULER_HANDLERS.clear()
    core.SCHEDULER_HANDLERS.update(handlers)
    for name in SAMPLERS:
        vars(sampling).pop(f"sample_{name}", None)


@pytest.fixture
def settings(host, tmp_path, monkeypatch):
    """The default user's settings file, not there yet."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "get_user_directory", lambda: str(tmp_path))
    (tmp_path / "default").mkdir()
    return tmp_path / "default" / "comfy.settings.json"


def load():
    from fewstep.nodes import FewStepExtension

    asyncio.run(FewStepExtension().get_node_list())


def offered(core):
    return [name for name in core.SAMPLER_NAMES + core.SCHEDULER_NAMES if "fewstep" in name]


def test_drop_downs_are_left_alone_by_default(lists, settings):
    load()
    assert offered(lists) == []


@pytest.mark.parametrize("written", [{}, {"FewStep.KSamplerDropDowns": False}])
def test_drop_downs_are_left_alone_until_the_setting_is_on(lists, settings, written):
    settings.write_text(json.dumps(written))
    load()
    assert offered(lists) == []


@pytest.mark.parametrize("written", ["", "{", "[]", "null", '"on"', "\udcff"])
def test_a_broken_settings_file_costs_a_line_in_the_log_and_no_node(
    lists, settings, caplog, written
):
    settings.write_bytes(written.encode(errors="surrogateescape"))
    load()
    assert offered(lists) == []
    assert f"FewStep could not read its settings from {settings}" in caplog.text


def test_the_setting_adds_the_names(lists, settings):
    settings.write_text('{"FewStep.KSamplerDropDowns": true}')
    load()
    assert offered(lists) == SAMPLERS + SCHEDULERS


def test_names_are_added_once_in_place_after_the_hosts_own(lists):
    from fewstep.nodes import dropdowns

    samplers, schedulers = lists.SAMPLER_NAMES, lists.SCHEDULER_NAMES
    before = list(samplers), list(schedulers)
    for _ in range(2):
        dropdowns.add()
    assert lists.SAMPLER_NAMES is samplers is lists.KSampler.SAMPLERS
    assert lists.SCHEDULER_NAMES is schedulers is lists.KSampler.SCHEDULERS
    assert (samplers, schedulers) == (before[0] + SAMPLERS, before[1] + SCHEDULERS)


def test_a_name_that_somebody_else_added_is_left_alone(lists):
    from fewstep.nodes import dropdowns

    theirs = lists.SchedulerHandler(lambda sampling, steps: None)
    lists.SCHEDULER_HANDLERS["fewstep_lcm"] = theirs
    lists.SCHEDULER_NAMES.append("fewstep_lcm")
    lists.SAMPLER_NAMES.append("fewstep_tcd")
    dropdowns.add()
    assert lists.SCHEDULER_HANDLERS["fewstep_lcm"] is theirs
    assert lists.SAMPLER_NAMES.count("fewstep_tcd") == 1
    assert "fewstep_tcd" not in lists.KSAMPLER_NAMES


def test_the_hosts_nodes_offer_the_names(lists):
    import nodes as core_nodes
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    from fewstep.nodes import dropdowns

    dropdowns.add()
    for node, name, wanted in [
        (core_nodes.KSampler, "sampler_name", SAMPLERS),
        (core_nodes.KSampler, "scheduler", SCHEDULERS),
        (KSamplerSelect, "sampler_name", SAMPLERS),
        (BasicScheduler, "scheduler", SCHEDULERS),
    ]:
        kind, *options = node.INPUT_TYPES()["required"][name]
        choices = kind if isinstance(kind, list) else options[0]["options"]
        assert set(wanted) <= set(choices)


@pytest.mark.parametrize("spacing", ["lcm", "trailing"])
@pytest.mark.parametrize("sampler", ["lcm", "tcd"])
def test_ksampler_gives_what_the_nodes_give(host, runs, lists, sampler, spacing):
    import nodes as core_nodes

    from fewstep.nodes import dropdowns

    dropdowns.add()
    model = host.tiny_model()
    (latent,) = core_nodes.KSampler().sample(
        model,
        runs.SEED,
        4,
        2.0,
        f"fewstep_{sampler}",
        f"fewstep_{spacing}",
        host.conditioning(1),
        host.conditioning(2),
        runs.empty(),
    )
    by_nodes = runs.lcm() if sampler == "lcm" else runs.tcd(0.3)
    expected = runs.sample(model, by_nodes, runs.sigmas(model, spacing, 4))
    assert runs.difference(latent["samples"], expected) == 0.0

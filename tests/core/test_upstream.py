import json

from fewstep.evaluate.upstream import MOST, upstream

GRAPH = {
    "1": {"class_type": "Loader", "inputs": {"file": "a.safetensors"}},
    "2": {"class_type": "Lora", "inputs": {"model": ["1", 0], "clip": ["1", 1], "strength": 0.5}},
    "3": {"class_type": "Sampler", "inputs": {"model": ["2", 0], "steps": 4}},
    "4": {"class_type": "Other", "inputs": {"text": "elsewhere"}},
    "5": {"class_type": "Pictures", "inputs": {"model": ["2", 0], "sampler": ["3", 0], "cfg": 1}},
}


def test_all_that_leads_to_a_node_is_told_by_the_way_there():
    assert upstream(GRAPH, "5") == {
        "model": "Lora: 0",
        "model.clip": "Loader: 1",
        "model.clip.file": "a.safetensors",
        "model.model": "as model.clip: 0",
        "model.strength": 0.5,
        "sampler": "Sampler: 0",
        "sampler.model": "as model: 0",
        "sampler.steps": 4,
    }


def test_other_numbers_of_nodes_and_other_branches_change_nothing():
    text = json.dumps(GRAPH)
    for number in "12345":
        text = text.replace(f'"{number}"', f'"9{number}"')
    renumbered = json.loads(text)
    assert upstream(renumbered, "95") == upstream(GRAPH, "5")
    changed = {**GRAPH, "4": {"class_type": "Other", "inputs": {"text": "changed"}}}
    assert upstream(changed, "5") == upstream(GRAPH, "5")


def test_a_setting_a_node_or_an_output_that_differs_is_told():
    found = upstream(GRAPH, "5")
    loader, lora = GRAPH["1"], GRAPH["2"]
    for changed in (
        {"1": {**loader, "inputs": {"file": "b.safetensors"}}},
        {"1": {**loader, "class_type": "OtherLoader"}},
        {"2": {**lora, "inputs": {**lora["inputs"], "strength": 0.6}}},
        {"2": {**lora, "inputs": {**lora["inputs"], "clip": ["1", 2]}}},
    ):
        assert upstream({**GRAPH, **changed}, "5") != found


def test_two_numbers_in_a_list_are_a_setting_and_no_link():
    of = {"class_type": "A", "inputs": {"size": [3, 4], "gone": ["9", 0]}}
    graph = {"1": of, "2": {"class_type": "B", "inputs": {"a": ["1", 0]}}}
    assert upstream(graph, "2") == {"a": "A: 0", "a.gone": ["9", 0], "a.size": [3, 4]}


def test_without_a_graph_nothing_is_told():
    assert upstream(None, None) == upstream(None, "5") == upstream(GRAPH, "77") == {}


def test_a_loop_and_a_graph_without_end_are_told_in_part():
    loop = {"1": {"class_type": "A", "inputs": {"a": ["2", 0]}}}
    loop["2"] = {"class_type": "B", "inputs": {"b": ["1", 0]}}
    assert upstream(loop, "1") == {"a": "B: 0", "a.b": "A: 0", "a.b.a": "as a: 0"}
    long = {
        str(k): {"class_type": "A", "inputs": {"a": [str(k + 1), 0], "b": [str(k + 2), 0]}}
        for k in range(5000)
    }
    assert len(upstream(long, "0")) == MOST

"""The pack in a running server: it loads, offers its nodes, and costs no time to import."""

import re
import urllib.error

PACK = "custom_nodes.fewstep"


def nodes_of_the_pack(server):
    info = server.client.get_json("/object_info")
    return {name: node for name, node in info.items() if node["python_module"] == PACK}


def test_server_offers_nodes_of_the_pack_and_all_ids_start_with_fewstep(server):
    names = nodes_of_the_pack(server)
    assert names
    assert [name for name in names if not name.startswith("FewStep")] == []


def test_the_start_tells_of_no_trouble_with_the_pack(server):
    # later, other tests ask for what has to be refused
    start = re.split("got prompt|invalid prompt", server.log())[0]
    trouble = [line for line in start.splitlines() if re.search(r"fewstep", line, re.I)]
    assert trouble
    assert [line for line in trouble if re.search(r"fail|error|cannot|unable", line, re.I)] == []


def test_importing_the_pack_takes_at_most_a_tenth_of_a_second(server):
    seconds = re.search(r"([\d.]+) seconds: \S*custom_nodes.fewstep$", server.log(), re.M)
    assert float(seconds[1]) <= 0.1


def test_every_node_of_the_pack_has_a_help_page(server):
    def answers(name):
        try:
            return server.client.get(f"/extensions/fewstep/docs/{name}.md")
        except urllib.error.HTTPError:
            return None

    assert [name for name in nodes_of_the_pack(server) if not answers(name)] == []


def test_host_reads_the_packs_pyproject(host):
    from comfy_config.config_parser import extract_node_configuration

    from fewstep.bootstrap.server import ROOT

    config = extract_node_configuration(str(ROOT))
    assert config.project.name == "fewstep"
    assert config.project.supported_comfyui_version == ">=0.3.64"
    assert config.project.supported_os == ["OS Independent"]
    assert "GPU :: AMD ROCm" in config.project.supported_accelerators
    assert config.tool_comfy.display_name == "FewStep"
    assert config.tool_comfy.publisher_id == "fewstep"
    assert config.tool_comfy.web is None

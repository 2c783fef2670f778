"""The pack in a running server: it loads, offers its nodes, and brings no library with it."""

import compileall
import re
import subprocess
import sys
import urllib.error

import pytest

from fewstep.bootstrap.server import ROOT

PACK = "custom_nodes.fewstep"
PACKAGES = (
    *("cache", "demo", "diffusion", "distill", "evaluate", "guidance", "headless", "lora"),
    *("nodes", "recipes", "samplers"),
)
# prints the CPU time of the pack's import as a share of ComfyUI's own, and the top names of all
# modules that the pack is the first to load; ComfyUI has its own nodes by then, no rubbish of its
# own left to collect, and writes bytecode
LOADED_BY_THE_PACK = """
import gc, importlib, importlib.util, sys, time
root, comfyui, bytecode = sys.argv[1:]
sys.argv[1:] = ["--cpu"]
sys.path.insert(0, comfyui)
importlib.import_module("comfy.options").enable_args_parsing()
for name in ("utils.extra_config", "execution", "server", "nodes", "comfy_api.latest"):
    importlib.import_module(name)
importlib.import_module("comfy_extras.nodes_custom_sampler")
gc.collect()
sys.dont_write_bytecode, sys.pycache_prefix = False, bytecode
known, comfyuis = {name.partition(".")[0] for name in sys.modules}, time.process_time()
spec = importlib.util.spec_from_file_location(
    "fewstep", root + "/__init__.py", submodule_search_locations=[root]
)
sys.modules["fewstep"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["fewstep"])
importlib.import_module("fewstep.nodes")
print((time.process_time() - comfyuis) / comfyuis)
print(*{name.partition(".")[0] for name in sys.modules} - known - sys.stdlib_module_names)
"""


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


@pytest.mark.newest
def test_importing_the_pack_is_short_beside_comfyui_and_loads_no_library(
    comfyui, tmp_path, monkeypatch
):
    """How long it takes is measured in benchmarks/import_time.py."""
    # every start but a user's first finds the pack's bytecode
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    for folder in PACKAGES:
        assert compileall.compile_dir(ROOT / folder, quiet=1)
    compileall.compile_file(ROOT / "__init__.py", quiet=1)
    command = [sys.executable, "-c", LOADED_BY_THE_PACK, str(ROOT), str(comfyui), str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=comfyui)
    share, names = told.stdout.splitlines()[-2:]
    assert set(names.split()) <= {"fewstep"}
    assert float(share) <= 0.02


def test_every_node_of_the_pack_has_a_help_page(server):
    def answers(name):
        try:
            return server.client.get(f"/extensions/fewstep/docs/{name}.md")
        except urllib.error.HTTPError:
            return None

    assert [name for name in nodes_of_the_pack(server) if not answers(name)] == []


def test_host_reads_the_packs_pyproject(host):
    from comfy_config.config_parser import extract_node_configuration

    config = extract_node_configuration(str(ROOT))
    assert config.project.name == "fewstep"
    assert config.project.supported_comfyui_version == ">=0.3.64"
    assert config.project.supported_os == ["OS Independent"]
    assert "GPU :: AMD ROCm" in config.project.supported_accelerators
    assert config.tool_comfy.display_name == "FewStep"
    assert config.tool_comfy.publisher_id == "fewstep"
    assert config.tool_comfy.web is None

import sys

import pytest

from fewstep.bootstrap import requirements
from fewstep.bootstrap.find_comfyui import ComfyUI


def host(folder, version, lines):
    folder.mkdir()
    (folder / "requirements.txt").write_text("\n".join(lines))
    return ComfyUI(folder, version)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in Python 3.11")
def test_extras_are_read_as_a_toml_reader_reads_them():
    import tomllib

    text = (requirements.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert {name: requirements.of_extra(name) for name in extras} == extras


def test_every_requirement_of_headless_and_test_has_an_exact_pin():
    lines = requirements.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pinned = {requirements.project(line) for line in lines if "==" in line}
    needed = requirements.of_extra("headless") + requirements.of_extra("test")
    assert {requirements.project(line) for line in needed} <= pinned


def test_newest_hosts_requirements_win_and_older_ones_add_what_is_missing(tmp_path):
    new = ["comfyui_frontend_package==2", "# a comment", "", "aiohttp>=3 # why", "torch"]
    old = ["comfyui-frontend-package==1", "aiohttp>=2", "gone-since", "comfyui-workflow-templates"]
    hosts = [host(tmp_path / "new", (2,), new), host(tmp_path / "old", (1,), old)]
    assert requirements.of_comfyuis(hosts) == [
        "comfyui_frontend_package==2",
        "aiohttp>=3",
        "gone-since",
    ]

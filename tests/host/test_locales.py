"""ComfyUI hands locales/ to its page, and English is what the nodes say."""

import re

import pytest
from locale_files import FILES, LANGUAGES, differences, leaves, read

from fewstep.docs.write_english import told

ANEW = "python docs/write_english.py ADDRESS, of a running ComfyUI, writes English anew"
# parts of nodes' categories that ComfyUI has words for
CORE_CATEGORIES = {"guidance", "loaders", "samplers", "sampling", "training"}


@pytest.fixture(scope="module")
def ours(server):
    """Our part of /object_info."""
    info = server.client.get_json("/object_info")
    found = {name: node for name, node in info.items() if name.startswith("FewStep")}
    assert found
    return found


def test_english_is_what_the_nodes_say(ours):
    wrong = differences("nodeDefs", read("en", "nodeDefs"), told(ours))
    assert not wrong, "\n".join([*wrong, f"{ANEW}; then change the other languages."])


def test_the_groups_of_nodes_have_words_where_comfyui_has_none(ours):
    parts = {part for node in ours.values() for part in node["category"].split("/")}
    assert read("en", "main")["nodeCategories"].keys() == parts - CORE_CATEGORIES - {"FewStep"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_choice_that_a_tooltip_explains_keeps_its_name_in_every_language(ours, language):
    english, other = (dict(leaves(read(one, "nodeDefs"))) for one in ("en", language))
    wrong = [
        f"locales/{language}/nodeDefs.json {'.'.join(key)} lacks {choice}"
        for key, choice in choices(ours)
        if re.search(rf"(?:^|[.,] ){re.escape(choice)}[,:]", english[key])
        and choice not in other[key]
    ]
    assert not wrong, "\n".join(wrong)


def choices(nodes):
    """Every choice of our nodes with the key of the tooltip that may explain it."""
    inputs = [
        ((name, "inputs", key, "tooltip"), described)
        for name, node in nodes.items()
        for group in ("required", "optional")
        for key, described in node["input"].get(group, {}).items()
    ]
    for key, (kind, *options) in inputs:
        found = kind if isinstance(kind, list) else options[0].get("options", ())
        yield from ((key, choice) for choice in found if isinstance(choice, str))


def test_comfyui_hands_out_every_language(server):
    served = server.client.get_json("/i18n")
    for language in ("en", *LANGUAGES):
        for name in FILES:
            content = read(language, name)
            found = served[language] if name == "main" else served[language][name]
            assert found.items() >= content.items(), f"{language}/{name}.json"

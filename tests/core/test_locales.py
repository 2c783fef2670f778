"""locales/ says in every language what English says, and all that web's scripts say."""

import re

import pytest
from locale_files import (
    FILES,
    LANGUAGES,
    LOCALES,
    calls_of_t,
    differences,
    field,
    read,
    registered,
    said,
    scripts,
    texts,
)

from fewstep.docs.write_english import told

# what vue-i18n, which the page reads these files with, takes for its own signs
SIGNS = re.compile(r"[{}@|]|%\{")
PLACEHOLDER = re.compile(r"\{\w+\}")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
AS_IT_IS = re.compile(
    r"\w+/\w{2}[\w/]*|\.(?:txt|csv|jsonl|png|jpg|webp|bmp)\b|fewstep_\w+", re.ASCII
)
WRITING = {"zh": r"[一-鿿]", "ja": r"[ぁ-ヿ一-鿿]", "ko": r"[가-힣]"}


def every_text(language):
    """Every text of a language's files but the words of our own pages: where it is, text."""
    for name in FILES:
        for key, text in texts(language, name).items():
            yield f"{language}/{name}.json {'.'.join(key)}", text


def everything(language):
    """Every text of a language beside its English: where it is, English, translation."""
    for name in FILES:
        english, other = texts("en", name), texts(language, name)
        for key in english.keys() & other.keys():
            yield f"{language}/{name}.json {'.'.join(key)}", english[key], other[key]
    for english, other in read(language, "main").get("fewstep", {}).items():
        yield f"{language}/main.json fewstep.{english}", english, other


def spoken():
    return {
        text for script in scripts().values() for call in calls_of_t(script) for text in said(call)
    }


# --- the files ------------------------------------------------------------------------------------


def test_there_are_files_of_these_languages_and_no_others():
    found = {path.relative_to(LOCALES).as_posix() for path in LOCALES.rglob("*") if path.is_file()}
    assert found == {f"{language}/{name}.json" for language in ("en", *LANGUAGES) for name in FILES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_the_very_keys_of_english(language):
    wrong = []
    for name in FILES:
        english, other = texts("en", name).keys(), texts(language, name).keys()
        file = f"locales/{language}/{name}.json"
        wrong += [f"{file} lacks {'.'.join(key)}" for key in sorted(english - other)]
        wrong += [f"{file} has {'.'.join(key)}, English has not" for key in sorted(other - english)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_text_is_empty(language):
    empty = [where for where, text in every_text(language) if not text or text != text.strip()]
    assert not empty, "\n".join(empty)


# --- the words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_in_its_language(language):
    writing = WRITING.get(language)
    left = [
        where
        for where, english, other in everything(language)
        if len(english) > 24 and (other == english or writing and not re.search(writing, other))
    ]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_paths_and_file_types_stay_as_they_are(language):
    wrong = []
    for where, english, other in everything(language):
        # German, French and Spanish write 0,5
        plain = re.sub(r"(?<=\d),(?=\d)", ".", other)
        kept = NUMBER.findall(plain) + AS_IT_IS.findall(other)
        wanted = set(NUMBER.findall(english) + AS_IT_IS.findall(english)) - set(kept)
        wrong += [f"{where}: {one} is missing" for one in sorted(wanted)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_text_has_a_sign_that_the_page_would_not_show(language):
    wrong = [f"{where}: {text}" for where, text in every_text(language) if SIGNS.search(text)]
    assert not wrong, "\n".join(wrong)


# --- what web's scripts say -----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_our_pages_is_translated_and_none_is_left_over(language):
    there, wanted = read(language, "main")["fewstep"].keys(), spoken()
    file = f"locales/{language}/main.json, fewstep"
    wrong = [f'{file} lacks "{text}"' for text in sorted(wanted - there)]
    wrong += [f'{file} has "{text}", which no script says' for text in sorted(there - wanted)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_stays_in_the_words_of_our_pages(language):
    wrong = [
        f'locales/{language}/main.json, fewstep "{english}": {other}'
        for english, other in read(language, "main")["fewstep"].items()
        if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(other))
        or set("{}@|") & set(PLACEHOLDER.sub("", other))
    ]
    assert not wrong, "\n".join(wrong)


def test_scripts_give_t_its_text_as_it_stands():
    unknown = [
        f"{file}: t({call})"
        for file, script in scripts().items()
        for call in calls_of_t(script)
        if not said(call)
    ]
    assert not unknown, "\n".join(unknown)


def test_english_has_every_setting_command_menu_entry_and_group_as_the_scripts_say_them():
    settings, commands, menus, groups = {}, {}, {}, {}
    for name, piece in registered():
        key = name.replace(".", "_")
        if "defaultValue:" in piece:
            (title,), tooltip = field(piece, "name"), field(piece, "tooltip")
            settings[key] = {"name": title} | ({"tooltip": tooltip[0]} if tooltip else {})
            groups |= {group: group for group in field(piece, "category")[:2]}
        for label in field(piece, "label"):
            commands[key] = {"label": label}
            menus[label] = label
    main = {"menuLabels": menus, "settingsCategories": groups}
    kept = read("en", "main")
    kept.pop("nodeCategories")
    wrong = [
        *differences("settings", read("en", "settings"), settings),
        *differences("commands", read("en", "commands"), commands),
        *differences("main", kept, main),
    ]
    assert not wrong, "\n".join(wrong)


# --- docs/write_english.py ------------------------------------------------------------------------


def test_english_is_what_object_info_tells_of_our_nodes_in_the_order_of_their_names():
    def node(name):
        return {
            "display_name": f"{name}!",
            "description": "Does it.",
            "input": {
                "required": {"model": ["MODEL", {"tooltip": "Any."}], "clip": ["CLIP"]},
                "optional": {"vae": ["VAE", {"default": 0}]},
                "hidden": {"unique_id": ["UNIQUE_ID"]},
            },
            "output": ["MODEL", "STRING", "FLOAT"],
            "output_name": ["MODEL", "report", "FLOAT"],
            "output_tooltips": [None, "What it did.", "A number."],
        }

    bare = {"display_name": "B", "description": "", "input": {"required": {}}}
    bare |= {"output": [], "output_name": [], "output_tooltips": []}
    found = told({"KSampler": node("K"), "FewStepB": bare, "FewStepA": node("A")})
    assert found == {
        "FewStepA": {
            "display_name": "A!",
            "description": "Does it.",
            "inputs": {
                "model": {"name": "model", "tooltip": "Any."},
                "clip": {"name": "clip"},
                "vae": {"name": "vae"},
            },
            "outputs": {
                "1": {"name": "report", "tooltip": "What it did."},
                "2": {"tooltip": "A number."},
            },
        },
        "FewStepB": {"display_name": "B"},
    }
    assert list(found) == ["FewStepA", "FewStepB"]

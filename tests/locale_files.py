"""What the tests of locales/ share: its texts by their keys, and the words in web's scripts."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCALES, WEB = ROOT / "locales", ROOT / "web"
LANGUAGES = "de", "es", "fr", "ja", "ko", "zh"
FILES = "commands", "main", "nodeDefs", "settings"
STRING = r'"(?:[^"\\\n]|\\.)*"'


def read(language: str, name: str) -> dict:
    text = (LOCALES / language / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text, object_pairs_hook=without_repeats)


def without_repeats(pairs: list) -> dict:
    keys = [key for key, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key stands twice among {keys}"
    return dict(pairs)


def texts(language: str, name: str) -> dict[tuple[str, ...], str]:
    """Every text of a file by the path to it; of main.json without the words of our own pages."""
    content = read(language, name)
    content.pop("fewstep", None)
    return dict(leaves(content))


def leaves(content: dict, path=()):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def differences(file: str, kept: dict, wanted: dict) -> list[str]:
    """A line for every text of an English file that is another one now, is missing or left over."""
    kept, wanted = dict(leaves(kept)), dict(leaves(wanted))
    return [
        f"locales/en/{file}.json {'.'.join(key)}: {kept.get(key)!r} is now {wanted.get(key)!r}"
        for key in sorted(kept.keys() | wanted.keys())
        if kept.get(key) != wanted.get(key)
    ]


def scripts() -> dict[str, str]:
    """web's scripts by their path, without comments that have a line to themselves."""
    found = {}
    for file in sorted(WEB.rglob("*.js")):
        text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
        found[file.relative_to(ROOT).as_posix()] = text
    return found


def end_of(script: str, start: int, stop: str = "") -> int:
    """Where the bracket that start stands in closes, or an earlier stop between brackets within."""
    depth, position = 0, start
    while depth >= 0 and not (depth == 0 and script[position] == stop):
        literal = re.compile(STRING).match(script, position)
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(script[position], 0)
        position = literal.end() if literal else position + 1
    return position if depth >= 0 else position - 1


def calls_of_t(script: str) -> list[str]:
    """The first argument, as it is written, of every t(...) in a script."""
    starts = [call.end() for call in re.finditer(r"(?<![\w.$])(?<!function )t\(", script)]
    return [script[start : end_of(script, start, ",")] for start in starts]


def said(argument: str) -> list[str]:
    """The texts in a piece of script, those that are joined by + in one."""
    joined = rf"{STRING}(?:\s*\+\s*{STRING})*"
    return [
        "".join(json.loads(part) for part in re.findall(STRING, whole))
        for whole in re.findall(joined, argument)
    ]


def registered() -> list[tuple[str, str]]:
    """The id of every setting and command of ours, and what its object says after it."""
    return [
        (found[1], script[found.end() : end_of(script, found.end())])
        for script in scripts().values()
        for found in re.finditer(r'\bid: "(FewStep\.\w+)"', script)
    ]


def field(piece: str, name: str) -> list[str]:
    """The texts that stand behind "name:" in a piece of script, if any."""
    found = re.search(rf"\b{name}:\s*(\[[^\]]*\]|{STRING}(?:\s*\+\s*{STRING})*)", piece)
    return said(found[1]) if found else []

"""A line of a ledger that is damaged is told with file, line and field, and never repaired."""

import json
import logging
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import FP8, FP8_LINE, REMEDY, figure_with, line_with, quick

from fewstep.evaluate.ledger import append, read


@pytest.mark.parametrize("text", ["", "{", "{}}", '{"a": 1} {"b": 2}', "[" * 100_000, "\ufeff{}"])
def test_a_line_that_is_no_json_is_told_wherever_it_stands_but_last(tmp_path, text):
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{line_with()}\n{text}\n{line_with()}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^mine\.jsonl, line 2: no JSON, .+\. {REMEDY}$"):
        read(path)
    path.write_text(f"{line_with()}\n{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^mine\.jsonl, line 2: no JSON, "):
        read(path)


def test_a_line_that_is_no_utf8_is_told(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b'{"version": "\xe9"}\n')
    with pytest.raises(ValueError, match=r"^mine\.jsonl, line 1: no JSON, 'utf-8' codec"):
        read(path)


WRONG_FIELDS = [
    ({"name": 7}, "name is 7; allowed is a text on one line."),
    ({"name": " "}, "name is ' '; allowed is a text on one line."),
    ({"name": "a\nb"}, r"name is 'a\nb'; allowed is a text on one line."),
    ({"golden_set": None}, "golden_set is None; allowed is a text on one line."),
    ({"change": [1]}, "change is [1]; allowed is an object."),
    ({"change": {"": 1}}, "a key in change is ''; allowed is a text on one line."),
    (
        {"change": {"lora": [1]}},
        "change, lora is [1]; allowed is a text, a finite number, true, false or null.",
    ),
    (
        {"change": {"cfg": math.nan}},
        "change, cfg is nan; allowed is a text, a finite number, true, false or null.",
    ),
    ({"figures": {}}, "figures is {}; allowed is a figure by each metric."),
    ({"figures": 3}, "figures is 3; allowed is a figure by each metric."),
    ({"figures": {" ": 1}}, "a metric in figures is ' '; allowed is a text on one line."),
    ({"figures": {"FID": 3}}, "figures, FID is 3; allowed is value, low, high, count."),
    (
        {"figures": {"FID": {"value": 1.0, "count": 2}}},
        "figures, FID has no low, high; needed are value, low, high, count.",
    ),
    (
        {"figures": figure_with(error=1)},
        "figures, FID has ['error']; allowed are no more than value, low, high, count.",
    ),
    *[
        ({"figures": figure_with(value=value)}, f"figures, FID, value is {shown}; allowed is a")
        for value, shown in [
            (math.nan, "nan"),
            (-math.inf, "-inf"),
            ("1", "'1'"),
            (True, "True"),
            (None, "None"),
        ]
    ],
    *[
        (
            {"figures": figure_with(low=low, high=high)},
            f"figures, FID, low and high is {(low, high)}; allowed is low <= high, or no limit.",
        )
        for low, high in [(1.0, None), (None, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)]
    ],
    *[
        (
            {"figures": figure_with(count=count)},
            f"figures, FID, count is {count}; allowed is a whole number above 0.",
        )
        for count in (0, 1.0, True, None)
    ],
    *[
        ({"when": when}, f"when is {when!r}; allowed is UTC such as 2026-01-31T12:00:00Z.")
        for when in (
            7,
            "2026-01-31",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00+01:00",
        )
    ],
]


@pytest.mark.parametrize(("fields", "told"), WRONG_FIELDS)
def test_a_wrong_field_is_told_with_file_line_value_and_what_is_allowed(tmp_path, fields, told):
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{line_with()}\n{line_with(**fields)}\n", encoding="utf-8")
    expected = f"^{re.escape(f'mine.jsonl, line 2: {told}')}.*{re.escape(REMEDY)}$"
    with pytest.raises(ValueError, match=expected):
        read(path)
    # and such an entry is not written in the first place
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"^{re.escape(f'the new entry: {told}')}"):
        append(path, FP8._replace(**fields))
    assert path.read_bytes() == before


def test_a_whole_number_that_no_float_holds_is_refused(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(line_with(figures=figure_with(value=10**309)), encoding="utf-8")
    with pytest.raises(ValueError, match="line 1: figures, FID, value is 1000.*a finite number"):
        read(path)


@pytest.mark.parametrize("field", FP8_LINE)
def test_a_missing_field_is_told(tmp_path, field):
    path = tmp_path / "mine.jsonl"
    kept = {name: value for name, value in FP8_LINE.items() if name != field}
    path.write_text(json.dumps(kept), encoding="utf-8")
    told = f"the line has no {field}; needed are version, name, change, figures, golden_set, when."
    with pytest.raises(ValueError, match=re.escape(f"mine.jsonl, line 1: {told} {REMEDY}")):
        read(path)


def test_an_unknown_field_is_told(tmp_path):
    (tmp_path / "mine.jsonl").write_text(line_with(note="x"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: the line has \['note'\]; allowed are no more"):
        read(tmp_path / "mine.jsonl")


@pytest.mark.parametrize("version", [2, 0, "1", True, 1.0, None])
def test_another_version_is_told(tmp_path, version):
    (tmp_path / "mine.jsonl").write_text(line_with(version=version), encoding="utf-8")
    told = (
        f"mine.jsonl, line 1: version is {version!r}, and this FewStep reads version 1. Read the "
        "ledger with the FewStep that wrote this line."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        read(tmp_path / "mine.jsonl")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"version"'])
def test_a_line_that_is_no_object_is_told(tmp_path, text):
    (tmp_path / "mine.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: the line is .*; allowed is an object\. Restore"):
        read(tmp_path / "mine.jsonl")


@quick
@given(content=st.binary(max_size=60) | st.text('{}":,[]1\n version').map(str.encode))
def test_any_bytes_are_read_or_refused_by_name_and_never_changed_by_an_append(
    tmp_path_factory, content
):
    path = tmp_path_factory.mktemp("ledger") / "mine.jsonl"
    path.write_bytes(content)
    logging.disable(logging.WARNING)
    try:
        append(path, FP8)
        assert path.read_bytes().startswith(content)
        assert read(path)[-1] == FP8
    except ValueError as error:
        assert re.match(r"mine\.jsonl, line \d+: .", str(error))
    finally:
        logging.disable(logging.NOTSET)

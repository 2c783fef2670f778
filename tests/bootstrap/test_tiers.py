import sys

import pytest

from fewstep.bootstrap import tiers
from fewstep.bootstrap.tiers import Outcome

GOOD = Outcome("core, 3 s", 0, passed=5, skipped=1)
BAD = Outcome("host (ComfyUI 1), 3 s", 1, passed=2, failed=1)
EMPTY = Outcome("browser, 1 s", tiers.NO_TEST_RAN, note="no test")


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


def test_last_line_adds_up_the_tiers(capsys):
    assert tiers.close([GOOD, BAD], [], asked_for=False) == 1
    assert last_line(capsys) == "7 passed, 1 failed, 1 skipped"


def test_a_tier_left_out_is_told_with_its_reason_and_fails_only_if_asked_for(capsys):
    reason = "host: LEFT OUT, no ComfyUI"
    assert tiers.close([GOOD], [reason], asked_for=False) == 0
    assert reason in capsys.readouterr().out
    assert tiers.close([GOOD], [reason], asked_for=True) == 1


def test_a_tier_without_a_test_is_no_failure_but_a_run_without_any_is():
    assert tiers.close([GOOD, EMPTY], [], asked_for=False) == 0
    assert tiers.close([EMPTY], [], asked_for=False) == 1


@pytest.mark.parametrize(
    "code, expected",
    [
        ("def test_a(): pass", (0, 1, 0, 0)),
        ("import pytest\ndef test_a(): pytest.skip()", (0, 0, 0, 1)),
        ("def test_a(): assert 0\ndef test_b(): pass", (1, 1, 1, 0)),
        ("import nothing_like_it", (2, 0, 1, 0)),
        ("", (tiers.NO_TEST_RAN, 0, 0, 0)),
        ("import os\ndef test_a(): os._exit(9)", (9, 0, 1, 0)),
    ],
)
def test_pytests_result_is_counted_whatever_happens_to_it(tmp_path, code, expected):
    file = tmp_path / "test_it.py"
    file.write_text(code)
    arguments = [file, f"--rootdir={tmp_path}", "-c", "/dev/null", "-p", "no:cacheprovider"]
    outcome = tiers.run_pytest("it", sys.executable, arguments)
    assert outcome[1:5] == expected

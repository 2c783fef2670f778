import pytest

from fewstep.distill.names import EXPERIMENTAL, GUIDANCE, STEPS
from fewstep.distill.words import cautions


@pytest.mark.parametrize("method", EXPERIMENTAL)
def test_an_experimental_method_is_called_so_with_what_to_watch(method):
    (said,) = cautions(method)
    assert f"method {method} is experimental" in said and "Watch variety of seeds" in said


@pytest.mark.parametrize(
    "method", [name for name in (GUIDANCE, *STEPS) if name not in EXPERIMENTAL]
)
def test_others_are_not(method):
    assert list(cautions(method)) == []

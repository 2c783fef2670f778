"""Inception's features are torch-fidelity's, and so is the resize before them TensorFlow's."""

import pytest
import torch
from oracles import inception as oracle

from fewstep.evaluate.inception import inception_features, tensorflow_resize


def test_features_are_those_of_torch_fidelity():
    found = inception_features(oracle.weights(), oracle.picture())
    assert found.shape == (1, 2048)
    expected = torch.tensor(oracle.FEATURES)
    torch.testing.assert_close(found[0, ::128], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        # sample i lies at i * 2 / side: no half pixel, and nothing beyond the last one
        (4, [0.0, 3.0, 6.0, 6.0]),
        (3, [0.0, 4.0, 6.0]),
        (1, [0.0]),
    ],
)
def test_the_resize_samples_as_tensorflow_1_does(side, expected):
    x = torch.tensor([0.0, 6.0]).expand(1, 1, 2, 2)
    torch.testing.assert_close(tensorflow_resize(x, side)[0, 0], torch.tensor([expected] * side))
    turned = tensorflow_resize(x.transpose(2, 3), side)[0, 0]
    torch.testing.assert_close(turned, torch.tensor([expected] * side).T)

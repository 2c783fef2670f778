import math

import pytest
import torch

from fewstep.guidance.embedded import guidance_embedding


@pytest.mark.parametrize(
    ("guidance", "width", "numbers"),
    [
        # frequencies 1 and 1e-4: sin 1, sin 0.0001, cos 1, cos 0.0001
        (1.001, 4, [0.841471, 0.0001, 0.540302, 1.0]),
        # sin 2000, sin 0.2, cos 2000, cos 0.2
        (3.0, 4, [0.930040, 0.198669, -0.367460, 0.980067]),
        # frequencies 1, 0.01 and 1e-4: sines of 500, 5 and 0.05, then their cosines
        (1.5, 6, [-0.467772, -0.958924, 0.0499792, -0.883849, 0.283662, 0.998750]),
    ],
)
def test_sines_then_cosines_of_a_thousand_per_unit_of_guidance_above_one(guidance, width, numbers):
    # 1e-5: 500 * 0.01 is off by 2e-6 in float32, and so is its sine
    torch.testing.assert_close(
        guidance_embedding(guidance, width), torch.tensor([numbers]), rtol=1e-5, atol=1e-5
    )


def test_no_guidance_is_told_as_zeros_and_ones():
    assert torch.equal(guidance_embedding(1.0), torch.tensor([[0.0] * 128 + [1.0] * 128]))


@pytest.mark.parametrize("guidance", [1.002, 1.5, 3.0, 8.0, 14.0])
def test_every_number_is_the_exact_sinusoid_but_for_its_float32_angle(guidance):
    angles = [(guidance - 1) * 1000 * 10000 ** (-i / 127) for i in range(128)]
    exact = torch.tensor([*map(math.sin, angles), *map(math.cos, angles)], dtype=torch.float64)
    # the exponent, up to 9.2, is rounded twice by 6e-8 of itself, and the angle is off by as much
    allowed = 1e-7 + 1.3e-6 * torch.tensor(angles, dtype=torch.float64).repeat(2)
    assert torch.all((guidance_embedding(guidance)[0] - exact).abs() <= allowed)


def test_a_batch_holds_what_each_is_told_alone():
    batch = guidance_embedding(torch.tensor([2.0, 8.5]))
    assert torch.equal(batch, torch.cat([guidance_embedding(2.0), guidance_embedding(8.5)]))


@pytest.mark.parametrize(
    ("guidance", "said"),
    [
        (0.5, "0.5"),
        (0, "0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (torch.tensor([3.0, 0.25]), "0.25"),
    ],
)
def test_guidance_below_one_or_not_finite_is_refused(guidance, said):
    with pytest.raises(ValueError, match=f"^guidance is {said}; allowed is a finite number of 1"):
        guidance_embedding(guidance)


@pytest.mark.parametrize("width", [255, 2, 0, -4])
def test_a_width_that_cannot_be_halved_is_refused(width):
    with pytest.raises(ValueError, match=f"^width is {width}; allowed is an even number of 4"):
        guidance_embedding(8.0, width)

import pytest
from oracles.network import SIGMAS

from fewstep.samplers.landings import ddim, lcm, tcd

TABLE = SIGMAS.tolist()


def levels(*timesteps):
    return [TABLE[timestep] for timestep in timesteps] + [0.0]


def test_lcm_lands_on_clean_data_and_ddim_on_the_next_level():
    assert lcm([3.0, 2.0, 1.0]) == [0.0, 0.0]
    assert ddim([3.0, 2.0, 1.0]) == [2.0, 1.0]


def test_tcd_lands_on_the_floor_of_the_remaining_timestep():
    # 0.7 * 759 = 531.3, 0.7 * 499 = 349.3, 0.7 * 259 = 181.3
    landings = tcd(levels(999, 759, 499, 259), 0.3, TABLE)
    assert landings == [TABLE[531], TABLE[349], TABLE[181], 0.0]


def test_tcd_without_stochasticity_is_ddim():
    sigmas = levels(999, 759, 499, 259)
    assert tcd(sigmas, 0.0, TABLE) == ddim(sigmas)
    assert tcd([1.0, 0.5, 0.0], 0.0) == [0.5, 0.0]


def test_tcd_at_full_stochasticity_lands_on_the_first_timestep_not_on_clean_data():
    assert tcd(levels(999, 499), 1.0, TABLE) == [TABLE[0], 0.0]


def test_tcd_floors_the_decimal_the_user_typed():
    # 0.7 * 90 is 63, and 62.99999999999999 in binary
    assert tcd(levels(999, 90), 0.3, TABLE) == [TABLE[63], 0.0]


def test_tcd_ends_where_the_reference_does_when_told_its_last_level():
    assert tcd([TABLE[999], TABLE[0]], 0.3, TABLE) == [TABLE[0]]


def test_tcd_reads_a_level_between_two_timesteps_as_the_nearest():
    low, high = TABLE[500], TABLE[501]
    nearer_low, nearer_high = low**0.6 * high**0.4, low**0.4 * high**0.6
    # 0.5 * 500 = 250, and 0.5 * 501 = 250.5
    assert tcd([14.0, nearer_low], 0.5, TABLE) == tcd([14.0, nearer_high], 0.5, TABLE)
    # 0.998 * 501 = 499.998, and 0.998 * 500 = 499
    assert tcd([14.0, nearer_high], 0.002, TABLE) == [TABLE[499]]
    # 0.999 * 501 = 500.499, and 0.999 * 500 = 499.5
    assert tcd([14.0, nearer_high], 0.001, TABLE) == [TABLE[500]]
    assert tcd([14.0, nearer_low], 0.001, TABLE) == [TABLE[499]]


def test_a_landing_never_lies_above_its_level():
    below_the_table = TABLE[0] / 2
    assert tcd([1.0, below_the_table, 0.0], 0.3, TABLE) == [below_the_table, 0.0]
    above_the_table = 20.0
    assert tcd([25.0, above_the_table], 0.3, TABLE) == [TABLE[699]]


def test_tcd_on_flow_models_scales_the_level_itself():
    assert tcd([1.0, 0.5, 0.25, 0.0], 0.5) == [0.25, 0.125, 0.0]
    assert tcd([1.0, 0.5, 0.0], 1.0) == [0.0, 0.0]


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_eta_outside_zero_to_one_is_refused(eta):
    with pytest.raises(ValueError, match=f"eta is {eta:g}; allowed is 0 .* to 1"):
        tcd([1.0, 0.0], eta)

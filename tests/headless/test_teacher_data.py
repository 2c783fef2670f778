"""What a file asks for becomes so many trajectories of each prompt, if the disk has room."""

import pytest
from tiny_models import LATENT, conditions
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import EPS
from fewstep.diffusion.sigmas import sigma_table
from fewstep.headless.config import Data
from fewstep.headless.levels import levels_of
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.teacher_data import check_disk, request_of

TABLE = sigma_table()


def request(folder, **wanted):
    network = DiffusersNetwork(tiny_unet().eval(), EPS, conditions("states"), table=TABLE)
    data = Data(folder, 4, **{"cfg": (3.0, 3.0), "sizes": ((64, 64),), **wanted})
    return request_of(network, data, levels_of(4, TABLE), LATENT)


def test_every_seed_is_another_whatever_its_prompt(tmp_path):
    found = request(tmp_path, seeds=2, seed=2**64 - 2)
    assert found.rows == (0, 0, 1, 1, 2, 2)
    assert found.seeds == (2**64 - 2, 2**64 - 1, 0, 1, 2, 3)
    assert found.cfg_scales == (3.0,) * 6 and found.shape == LATENT
    assert found.sigmas == (*(TABLE[t] for t in (999, 749, 499, 249)), 0.0)


def test_a_range_of_cfg_is_drawn_from_evenly_and_the_same_each_time(tmp_path):
    found = request(tmp_path, seeds=400, cfg=(1.0, 9.0)).cfg_scales
    assert len(set(found)) > 1000 and 1.0 <= min(found) < 1.1 and 8.9 < max(found) <= 9.0
    # 1200 numbers of an even distribution: 5 standard errors of their mean
    assert abs(sum(found) / 1200 - 5.0) < 5 * 8.0 / 12**0.5 / 1200**0.5
    assert request(tmp_path, seeds=400, cfg=(1.0, 9.0)).cfg_scales == found
    assert request(tmp_path, seeds=400, cfg=(1.0, 9.0), seed=1).cfg_scales != found


def test_a_budget_is_kept_before_anything_is_made(tmp_path):
    wanted = Data(tmp_path / "new", 4, (3.0, 3.0), ((64, 64),), seeds=2, budget_gb=1e-4)
    # 8 prompts of 2 seeds: 9 latents of 256 numbers of 2 bytes each
    check_disk(wanted, 8, [LATENT])
    with pytest.raises(ValueError, match="GB of disk"):
        check_disk(wanted._replace(budget_gb=7e-5), 8, [LATENT])
    assert not (tmp_path / "new").exists()


def test_the_budget_is_for_all_sizes_together(tmp_path):
    wanted = Data(tmp_path, 4, (3.0, 3.0), ((64, 64), (64, 96)), seeds=2, budget_gb=1e-4)
    # 8 prompts of 2 seeds: 9 latents of 256 and 384 numbers of 2 bytes each, which are 1.84e-4 GB
    shapes = [LATENT, (4, 12, 8)]
    check_disk(wanted._replace(budget_gb=1.85e-4), 8, shapes)
    with pytest.raises(ValueError, match=r"Set \[prompts\] count to 7"):
        check_disk(wanted._replace(budget_gb=1.84e-4), 8, shapes)

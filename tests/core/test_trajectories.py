import itertools

import pytest
import torch
from small_network import SHAPE, SmallNetwork

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.network import NEGATIVE, denoiser
from fewstep.distill.trajectories import Request, make, noise_of
from fewstep.samplers.ode import sample_euler

SIGMAS = {"VE": (14.6, 5.0, 1.5, 0.4, 0.03, 0.0), "FLOW": (1.0, 0.9, 0.7, 0.5, 0.2, 0.0)}


def request(network, **changed):
    return Request(
        teacher=network.fingerprint,
        process=network.process.name,
        sigmas=SIGMAS[network.process.name],
        cfg_scales=(3.0, 1.5, 3.0, 4.0, 1.0, 3.0, 2.0),
        shape=SHAPE,
        rows=(0, 1, 2, 3, 4, 0, 1),
        seeds=(10, 11, 12, 13, 14, 15, 16),
        dtype="float32",
    )._replace(**changed)


def reference(network, wanted, i):
    """The path of one trajectory, one network pass after the other, in float64."""
    row = torch.tensor([wanted.rows[i]])
    cond, uncond = denoiser(network, row), denoiser(network, torch.tensor([NEGATIVE]))

    def guided(x, sigma):
        without = uncond(x, sigma)
        return without + wanted.cfg_scales[i] * (cond(x, sigma) - without)

    std = (network.process.alpha(wanted.sigmas[0]) ** 2 + wanted.sigmas[0] ** 2) ** 0.5
    x = std * noise_of(wanted.seeds[i], SHAPE)[None].double()
    path, ends = [], []
    on_step = lambda i, x, denoised: (path.append(x), ends.append(denoised))
    path.append(sample_euler(guided, x, wanted.sigmas, process=network.process, on_step=on_step))
    return path[:-1] + [path[-1]], ends


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_states_and_guided_predictions_are_those_of_the_sampled_path(tmp_path, process):
    network = SmallNetwork(process)
    wanted = request(network)
    made = make(network, wanted, tmp_path, batch=3)
    for i, level in itertools.product((0, 4, 6), range(5)):
        path, ends = reference(network, wanted, i)
        at = torch.tensor([i]), torch.tensor([level])
        close = {"rtol": 2e-5, "atol": 2e-5}
        torch.testing.assert_close(made.x(*at).double(), path[level], **close)
        torch.testing.assert_close(made.guided_x0(*at).double(), ends[level], **close)
        torch.testing.assert_close(made.x0(at[0]).double(), path[-1], **close)
    assert made.sigma(torch.tensor([1, 5])).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_half_precision_keeps_the_noise_in_a_prediction_at_every_level(tmp_path, process):
    network = SmallNetwork(process)
    kept, ends = {}, {}
    for dtype in ("float32", "float16"):
        wanted = request(network, dtype=dtype)
        made = make(network, wanted, tmp_path / dtype)
        index = torch.arange(7)
        for level in range(5):
            at = index, torch.full((7,), level)
            slope = (made.x(*at) - made.guided_x0(*at)) / made.sigma(at[1])
            kept[dtype, level], ends[dtype, level] = slope, made.guided_x0(*at)
    for level in range(5):
        exact, half = kept["float32", level], kept["float16", level]
        # what an x0 estimate in float16 would have at the last level, 0.03: 5e-4 / 0.03
        assert ((half - exact).norm() / exact.norm()) < 2e-3
        # and what the noise itself would leave of an x0 estimate at the first, 14.6: 5e-4 * 14.6
        assert (ends["float16", level] - ends["float32", level]).abs().mean() < 1e-3


def test_a_run_that_is_cut_off_goes_on_and_ends_with_the_same_numbers(tmp_path):
    network = SmallNetwork()
    whole = make(network, request(network), tmp_path / "whole", batch=2)

    count = itertools.count()

    def stop(done):
        if next(count) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(network, request(network), tmp_path / "cut", batch=2, on_step=stop)
    network.passes.clear()
    cut = make(network, request(network), tmp_path / "cut", batch=2)
    # two of the four files were there; the other two take five levels each
    assert len(network.passes) == 2 * 5
    index, level = torch.arange(7), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    assert torch.equal(whole.x(index, level), cut.x(index, level))
    assert torch.equal(whole.guided_x0(index, level), cut.guided_x0(index, level))
    network.passes.clear()
    make(network, request(network), tmp_path / "cut")
    assert network.passes == []


def test_each_level_is_one_pass_with_condition_and_negative_together(tmp_path):
    network = SmallNetwork()
    make(network, request(network, rows=(3, 1), seeds=(0, 1)), tmp_path)
    assert network.passes == [(4, [3, 1, NEGATIVE, NEGATIVE])] * 5
    network.passes.clear()
    make(
        network, request(network, rows=(3, 1), seeds=(0, 1), cfg_scales=(1.0,) * 2), tmp_path / "1"
    )
    assert network.passes == [(2, [3, 1])] * 5


@pytest.mark.parametrize(
    "changed", [{"cfg_scales": (4.0,) * 7}, {"teacher": "other"}, {"seeds": tuple(range(7))}]
)
def test_a_set_of_another_teacher_cfg_or_seeds_is_refused(tmp_path, changed):
    network = SmallNetwork()
    make(network, request(network), tmp_path)
    with pytest.raises(ValueError, match=f"was made with another {next(iter(changed))}"):
        make(network, request(network, **changed), tmp_path)


def test_a_damaged_set_is_refused(tmp_path):
    network = SmallNetwork()
    make(network, request(network), tmp_path)
    (path, *_) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ValueError, match="its checksum differs"):
        make(network, request(network), tmp_path)


def test_a_set_of_another_process_is_refused(tmp_path):
    from fewstep.distill.shards import Shards
    from fewstep.distill.trajectories import KIND, Trajectories

    make(SmallNetwork(), request(SmallNetwork()), tmp_path)
    with pytest.raises(ValueError, match="trajectories of a VE model, and this one is FLOW"):
        Trajectories(Shards.opened(tmp_path, KIND), FLOW)


def test_the_size_on_disk_is_known_before(tmp_path):
    network = SmallNetwork()
    wanted = request(network, dtype="float16")
    make(network, wanted, tmp_path)
    numbers = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    headers = 400 * len(list(tmp_path.glob("*.safetensors")))
    assert wanted.bytes_on_disk() == 7 * (6 + 5) * 32 * 2
    assert wanted.bytes_on_disk() < numbers < wanted.bytes_on_disk() + headers


def test_noise_is_what_comfyui_draws_for_a_picture_of_this_seed():
    torch.manual_seed(17)
    assert torch.equal(noise_of(17, (4, 8, 8)), torch.randn(1, 4, 8, 8)[0])


@pytest.mark.parametrize(
    ("scales", "told"),
    [((4.0, 4.0), None), ((6.93, 1.52), (1.5, 7.0)), ((1.0, 3.01), (1.0, 3.1))],
)
def test_the_range_that_can_be_told_is_in_tenths_around_what_was_drawn(scales, told):
    assert request(SmallNetwork(), cfg_scales=scales).cfg_range == told

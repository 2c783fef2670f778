"""Data of several sizes of picture: numbers run through all, and each batch is of one size."""

from collections import Counter

import pytest
import torch
from small_network import SHAPE
from small_setting import CFG, RANGE, SIGMAS, WIDE, joined_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill import checkpoint
from fewstep.distill.chain_plan import trials
from fewstep.distill.joined_data import JoinedData, join, joined_request
from fewstep.distill.meters import Meters, has_collapsed, over_sizes
from fewstep.distill.setting import choose_trajectories, looked_at, trained_on
from fewstep.distill.stages import Chain
from fewstep.distill.train_options import TrainOptions
from fewstep.distill.training import Options, Training
from fewstep.distill.trajectories import PICTURES, Request
from fewstep.distill.ways import WAYS


@pytest.fixture
def both(tmp_path):
    """A setting of six trajectories of one size and three of another, and the two sets."""
    return joined_setting(VE, tmp_path)


def first_stage(setting, name):
    return WAYS[name].stages(setting.data, 2)[0].begin(setting, None)


def shape_of(batch, data):
    """Of the latents of a batch, whatever its method calls its parts."""
    noise = getattr(batch, "noise", getattr(batch, "fresh", None))
    if noise is not None:
        return (SHAPE[0], *noise.shape[-2:])
    return tuple(data.x0(batch.index).shape[1:])


# --- what is read --------------------------------------------------------------------------------


def test_numbers_run_through_all_sets(both):
    data, sets = both[0].data, both[1]
    assert len(data) == 9 and data.spans == (range(6), range(6, 9))
    for one, span in zip(sets, data.spans, strict=True):
        own = torch.arange(len(one))
        index, level = own + span.start, own % 6
        assert torch.equal(data.x(index, level), one.x(own, level))
        assert torch.equal(data.guided_x0(index, level), one.guided_x0(own, level))
        assert torch.equal(data.x0(index), one.x0(own))
        assert torch.equal(data.sigma(level), one.sigma(level))
        assert torch.equal(data.rows[index], one.rows)
        assert torch.equal(data.cfg_scales[index], one.cfg_scales)
        assert data.shape_of(span[-1]) == one.request.shape == data.x0(index).shape[1:]
    assert data.request.seeds == (0, 1, 2, 3, 4, 5, 0, 1, 2)
    assert data.request.rows == (0, 1, 2, 3, 4, 0, 0, 1, 2)
    assert data.largest is sets[1] and JoinedData(sets[::-1]).largest is sets[1]


def test_latents_of_two_sizes_are_never_read_at_once(both):
    with pytest.raises(ValueError, match=r"\[5, 6\] are of several sizes.* within 0 to 5, 6 to 8"):
        both[0].data.x0(torch.tensor([5, 6]))


def test_a_single_set_is_itself(both):
    (one, _) = both[1]
    assert join([one]) is one and one.largest is one
    assert one.spans == (range(6),) and one.shape_of(3) == SHAPE


# --- what is drawn -------------------------------------------------------------------------------


def test_a_batch_is_of_one_set_and_each_trajectory_as_likely():
    spans, generator = [range(6), range(8, 10)], torch.Generator().manual_seed(0)
    counted = Counter()
    for _ in range(4000):
        numbers = choose_trajectories(spans, 3, generator).tolist()
        assert len({number >= 8 for number in numbers}) == 1
        counted.update(numbers)
    assert set(counted) == {0, 1, 2, 3, 4, 5, 8, 9}
    # of 4000 batches 3 in 4 are of the first set: 5 standard errors
    first = sum(counted[number] for number in range(6)) / 3
    assert abs(first - 3000) < 5 * (4000 * 0.75 * 0.25) ** 0.5
    # numbers of a batch go together, so of 3 the variance is at most 9 times that of one
    assert all(abs(n - 1500) < 5 * 3 * (4000 / 8) ** 0.5 for n in counted.values())


@pytest.mark.parametrize("name", list(WAYS))
def test_every_way_draws_both_sizes_by_their_share(both, name):
    setting, generator = both[0], torch.Generator().manual_seed(1)
    draw = first_stage(setting, name).draw
    shapes = Counter(shape_of(draw(generator, 2), setting.data) for _ in range(300))
    assert set(shapes) == {SHAPE, WIDE}
    # six trajectories and three
    assert abs(shapes[SHAPE] - 200) < 5 * (300 * 2 / 9) ** 0.5


def test_the_last_of_each_size_are_held_out_and_looked_at(both):
    setting = both[0]._replace(held_out=2)
    assert trained_on(setting) == [range(4), range(6, 7)]
    assert [index.tolist() for index in looked_at(setting.data, 2)] == [[4, 5], [7, 8]]
    assert [index.tolist() for index in looked_at(setting.data, 5)] == [[1, 2, 3, 4, 5], [6, 7, 8]]
    draw, generator = first_stage(setting, "segments").draw, torch.Generator().manual_seed(0)
    drawn = {number for _ in range(200) for number in draw(generator, 2).index.tolist()}
    assert drawn == {0, 1, 2, 3, 6}
    with pytest.raises(ValueError, match="3 trajectories of one size, and 3 of them are held out"):
        trained_on(setting._replace(held_out=3))


def test_pictures_are_held_out_where_each_size_has_four_times_as_many(both):
    network, data = both[0].network, both[0].data
    held_out = lambda sets: TrainOptions(Options(), pictures=1).setting(network, sets).held_out
    assert held_out(data) == 0 and held_out(both[1][0]) == 1


# of Generator().manual_seed(3), what each way drew before there were several sizes
LEVELS = {"guidance": 6, "segments": 2, "endpoint": 1, "progressive": 2, "pcm": 6}


def drawn_by(name, generator):
    whole = lambda count: torch.randint(count, (5,), generator=generator)
    normal = lambda *shape: torch.randn(5, *shape, generator=generator)
    if name in LEVELS:
        return [whole(8), whole(LEVELS[name])]
    if name in ("lcm", "ict", "tcd"):
        return [whole(8), normal(*SHAPE), whole(50)]
    if name == "adversarial":
        found = [whole(8), whole(2), torch.rand(5, 2, generator=generator)]
        return [*found, normal(2, *SHAPE)]
    row = whole(5)
    scales = CFG + 0 * torch.rand(5, generator=generator)
    found = [row, scales, whole(2), normal(2, *SHAPE), torch.rand(5, 2, generator=generator)]
    return [*found, normal(2, *SHAPE)]


@pytest.mark.parametrize("name", list(WAYS))
def test_of_one_size_the_same_is_drawn_as_ever(tmp_path, name):
    setting, sets = joined_setting(VE, tmp_path, counts=(8, 1))
    method = first_stage(setting._replace(data=sets[0]), name)
    batch = method.draw(torch.Generator().manual_seed(3), 5)
    expected = drawn_by(name, torch.Generator().manual_seed(3))
    places = {"segments": [0, 3], "progressive": [0, 3], "adversarial": [0, 3]}.get(name)
    if places:
        expected[1] = torch.tensor(places)[expected[1]]
    for one, other in zip(batch, expected, strict=name != "tcd"):
        assert torch.equal(one, other)


# --- what is trained -----------------------------------------------------------------------------


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
@pytest.mark.parametrize("name", list(WAYS))
def test_every_way_has_of_a_batch_the_loss_that_its_size_alone_would_have(tmp_path, process, name):
    setting, sets = joined_setting(process, tmp_path)
    joined = first_stage(setting, name)
    generator, seen = torch.Generator().manual_seed(2), set()
    while len(seen) < 2:
        batch = joined.draw(generator, 2)
        shape = shape_of(batch, setting.data)
        one, first = (sets[0], 0) if shape == SHAPE else (sets[1], 6)
        alone = first_stage(setting._replace(data=one), name)
        own = batch._replace(index=batch.index - first) if "index" in batch._fields else batch
        for here, there in zip(joined.turns, alone.turns, strict=True):
            assert torch.equal(here.loss(batch), there.loss(own))
        seen.add(shape)


@pytest.mark.parametrize("name", list(WAYS))
def test_every_way_trains_on_two_sizes_in_parts(tmp_path, name):
    setting, _ = joined_setting(VE, tmp_path)
    before = None
    for stage in WAYS[name].stages(setting.data, 1):
        options = Options(iterations=6, batch=4, accumulation=2, warm_up=1)
        training = Training(stage.begin(setting, before), options)
        while not training.is_done:
            training.step()
        before = training.method.average
    assert all(up.abs().sum() > 0 for up in before.up)


def test_a_range_of_cfg_goes_through_all_sizes(tmp_path):
    setting, _ = joined_setting(VE, tmp_path, cfg_scales=RANGE)
    assert setting.data.request.cfg_range == (1.0, 6.5)
    method, generator = first_stage(setting, "segments"), torch.Generator().manual_seed(0)
    batch = next(b for b in iter(lambda: method.draw(generator, 2), None) if b.index[0] >= 6)
    method.turns[0].loss(batch)
    told = setting.network.told[-1]
    assert told.tolist() == [RANGE[number - 6] for number in batch.index.tolist()]


def test_what_a_run_takes_is_tried_with_the_largest_size(both, tmp_path):
    setting = both[0]
    stages = WAYS["progressive"].stages(setting.data, 1)
    chain = Chain(stages, setting, Options(batch=2), tmp_path / "run", {})
    generator = torch.Generator().manual_seed(0)
    for training in trials(chain):
        drawn = [training.method.draw(generator, 2).index for _ in range(20)]
        # two stages, each of the three trajectories of the larger set alone
        assert {n for index in drawn for n in index.tolist()} == {0, 1, 2}
        training.step()


def test_a_run_of_other_sizes_is_not_gone_on_with(tmp_path):
    setting, sets = joined_setting(VE, tmp_path, counts=(3, 3))
    training = Training(first_stage(setting, "segments"), Options(iterations=1, batch=2))
    about = setting.data.request.described()
    # what they agree in is told as of one
    assert about == {**sets[0].request.described(), "shape": [SHAPE, WIDE]}
    checkpoint.write(tmp_path / "run", training, about, {}, {})
    assert checkpoint.done(tmp_path / "run", about) == 0
    for other in (sets[0], join(sets[::-1])):
        with pytest.raises(ValueError, match=r"a run with shape \[\[2, 4, 4\], \[2, 4, 6\]\], and"):
            checkpoint.done(tmp_path / "run", other.request.described())


def test_sets_that_differ_in_more_are_told_apart_by_it():
    one = request(rows=(0,), cfg_scales=(3.0,), seeds=(4,))
    about = joined_request([one, request(shape=WIDE)]).described()
    assert about["shape"] == [SHAPE, WIDE] and about["rows"] == [(0,), (0, 1)]
    assert about["seeds"] == [(4,), (0, 1)] and about["sigmas"] == SIGMAS["VE"]


def test_meters_of_several_sizes_are_the_mean_of_each_that_there_is():
    one = Meters((0.2, None), (1.0, None), 0.8, None, 0.5)
    other = Meters((0.4, None), (2.0, 3.0), None, None, 0.1)
    found = over_sizes([one, other])
    assert found.mean_shift == (pytest.approx(0.3), None) and found.std_ratio == (1.5, 3.0)
    assert (found.detail_ratio, found.diversity) == (0.8, None)
    assert found.paired_error == pytest.approx(0.3)
    assert over_sizes([one]) == one


def test_a_collapse_at_one_size_is_seen_among_several():
    sizes = [Meters((0.0,), (1.0,), 1.0, diversity, 0.5) for diversity in (1.1, 0.6, None, 1.0)]
    assert over_sizes(sizes).diversity == 0.6 and has_collapsed(over_sizes(sizes))


# --- what is refused -----------------------------------------------------------------------------


def request(**changed):
    given = {"teacher": "a", "process": "VE", "sigmas": SIGMAS["VE"], "cfg_scales": (3.0, 3.0)}
    given |= {"shape": SHAPE, "rows": (0, 1), "seeds": (0, 1)}
    return Request(**(given | changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"teacher": "b"}, "data 2 of 2 was made by another model, .* other prompts than data 1"),
        ({"process": "FLOW"}, "data 2 of 2 was made by another model"),
        ({"source": PICTURES}, "made of pictures of yours, and data 1 of the teacher's own paths"),
        ({"sigmas": (14.6, 1.0, 0.0)}, "was made with 2 steps, and data 1 with 6"),
        (
            {"sigmas": (14.6, 6.0, *SIGMAS["VE"][2:])},
            "begins at noise levels 14.6, 6, 2, and data 1 at 14.6, 5, 2: .* Set one shift",
        ),
        ({"cfg_scales": (4.0, 4.0)}, "was made with cfg 4, and data 1 with cfg 3. Make all"),
        ({"cfg_scales": (3.0, 4.0)}, "was made with a range of cfg, and data 1 with cfg 3"),
        ({"shape": SHAPE}, "data 2 of 2 is there twice"),
    ],
)
def test_sets_that_make_no_one_student_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        joined_request([request(), request(**{"shape": WIDE, **changed})])


def test_the_one_that_differs_is_named():
    good = [request(), request(shape=WIDE), request(shape=(2, 6, 4))]
    assert joined_request(good).each == tuple(good)
    with pytest.raises(ValueError, match="data 3 of 3 was made with 2 steps"):
        joined_request([*good[:2], good[2]._replace(sigmas=(14.6, 1.0, 0.0))])
    with pytest.raises(ValueError, match="data 3 of 3 is there twice"):
        joined_request([*good[:2], good[1]])


def test_ranges_of_cfg_and_number_formats_may_differ():
    one, other = request(cfg_scales=(1.0, 4.0)), request(cfg_scales=(2.0, 8.0), dtype="float32")
    assert joined_request([one, other]).cfg_range == (1.0, 8.0)

"""When Live begins a run and when it cuts one off, on a clock that is made up."""

import pytest

# A run takes so long, one that is cut off so long until it has ended, and asking for one so long;
# letters come by the clock. The server does one run after the other.
SIMULATE = """async ({ url, duration, cutting, asking, letters, gap, isDragged, lag }) => {
    const { Latest } = await import(url);
    let clock = 0, number = 0, flying = null;
    const events = [], waiting = [];
    const later = (milliseconds, act) => {
        const event = { at: clock + milliseconds, act, number: number++ };
        events.push(event);
        return () => { event.act = () => {}; };
    };
    const seen = { runs: [], shown: [], most: 0, wanted: 0 };
    let state = 0;
    const latest = new Latest({
        now: () => clock,
        later: (milliseconds, act) => later(milliseconds + lag, act),
        begin: () => {
            const run = { state, asked: clock };
            seen.runs.push(run);
            later(asking, () => { waiting.push(run); latest.queued(run); serve(); });
            const there = seen.runs.filter(one => !one.ended);
            seen.most = Math.max(seen.most, there.length);
            seen.wanted = Math.max(seen.wanted, there.filter(one => !one.isCut).length);
            return run;
        },
        cut: run => {
            if (run.isCut) throw Error("cut off twice");
            run.isCut = true;
            run.forget?.();
            later(cutting, () => finish(run, false));
        },
    });
    function serve() {
        if (flying || !waiting.length) return;
        const run = waiting.shift();
        if (run.isCut) return finish(run, false);
        flying = run;
        run.began = clock;
        latest.begun(run);
        run.forget = later(duration, () => finish(run, true));
    }
    function finish(run, isShown) {
        if (flying === run) flying = null;
        if (!run.ended) {
            run.ended = true;
            if (isShown) seen.shown.push({ state: run.state, at: clock });
            latest.ended(run, isShown);
        }
        serve();
    }
    // one run beforehand, so that its time is known
    latest.edited();
    for (let letter = 1; letter <= letters; letter++)
        later(3 * duration + gap * letter, () => { state = letter; latest.edited(isDragged); });
    const release = 3 * duration + gap * letters + 1;
    if (isDragged) later(release, () => latest.settle());
    while (events.length) {
        events.sort((a, b) => a.at - b.at || a.number - b.number);
        const event = events.shift();
        clock = event.at;
        event.act();
    }
    return {
        most: seen.most,
        wanted: seen.wanted,
        runs: seen.runs.map(({ state, asked, began }) => ({ state, asked, began })),
        shown: seen.shown,
        last: 3 * duration + gap * letters,
        duration: latest.duration,
    };
}"""
LETTERS, GAP = 40, 125  # milliseconds


@pytest.fixture(scope="module")
def page_of_ours(new_page, server):
    with new_page() as page:
        page.goto(f"{server.url}/fewstep/pairs")
        yield page


@pytest.fixture
def simulate(page_of_ours, server):
    def run(duration, cutting=20, letters=LETTERS, gap=GAP, is_dragged=False, lag=0, asking=0):
        given = {"duration": duration, "cutting": cutting, "letters": letters, "gap": gap}
        given |= {"isDragged": is_dragged, "lag": lag, "asking": asking}
        given["url"] = f"{server.url}/extensions/fewstep/live/latest.js"
        return page_of_ours.evaluate(SIMULATE, given)

    return run


@pytest.mark.parametrize("duration", [20, 60, 100, 150, 240, 300, 420, 500, 700, 900])
def test_while_typing_pictures_come_and_the_last_is_there_one_run_after_the_last_letter(
    simulate, duration
):
    found = simulate(duration)
    typing = [run for run in found["runs"] if run["state"]]
    shown = [one for one in found["shown"] if one["state"]]
    # the second waits behind one that is being cut off
    assert found["most"] <= 2 and found["wanted"] == 1 and len(typing) <= LETTERS
    # never an older picture behind a newer one
    states = [one["state"] for one in shown]
    assert states == sorted(states) and states[-1] == LETTERS
    assert shown[-1]["at"] - found["last"] <= duration + 150
    # one each second or so, as long as a run is no longer than that
    assert len(shown) >= (5 if duration <= 500 else 3)


@pytest.mark.parametrize("cutting", [0, 10, 60])
def test_it_does_not_matter_how_soon_a_run_ends_that_was_cut_off(simulate, cutting):
    found = simulate(300, cutting)
    assert found["shown"][-1]["state"] == LETTERS
    assert found["most"] <= 2 and found["wanted"] == 1


def test_a_run_of_seconds_is_cut_off_by_every_edit_and_ends_with_the_last(simulate):
    found = simulate(5000, letters=10)
    assert found["shown"][-1]["state"] == 10
    assert found["shown"][-1]["at"] - found["last"] <= 5000 + 150


def test_an_edit_after_a_pause_waits_for_nothing_but_a_tenth_of_a_run(simulate):
    found = simulate(200, letters=3, gap=1000)
    assert [run["asked"] for run in found["runs"][1:]] == [1620, 2620, 3620]
    assert found["duration"] == 200


@pytest.mark.parametrize("asking", [0, 60])
@pytest.mark.parametrize("duration", [50, 200, 400, 1500])
@pytest.mark.parametrize(("gap", "is_dragged"), [(16, True), (150, True), (33, False)])
def test_while_a_slider_is_moved_runs_follow_each_other_without_a_break(
    simulate, duration, gap, is_dragged, asking
):
    found = simulate(duration, letters=5000 // gap, gap=gap, is_dragged=is_dragged, asking=asking)
    moving = [one for one in found["shown"] if 0 < one["at"] - 3 * duration <= 5000]
    pace = max(duration, asking) if gap < duration else gap + asking
    assert len(moving) >= 0.9 * (5000 // pace) - 1
    # one in flight, one waiting
    assert found["shown"][-1]["state"] == 5000 // gap and found["most"] <= 2
    # once it is let go of, what is out of date is cut off
    assert found["shown"][-1]["at"] - found["last"] <= asking + duration + 150


@pytest.mark.parametrize("asking", [0, 10, 60])
def test_while_a_slider_is_moved_a_run_waits_on_the_server_no_longer_than_asking_takes(
    simulate, asking
):
    found = simulate(200, letters=300, gap=16, is_dragged=True, asking=asking)
    # all but the first of the drag, when how long asking takes may be known from one run alone
    waited = [run["began"] - run["asked"] for run in found["runs"][2:] if run.get("began")]
    assert len(waited) > 15 and max(waited) <= asking + 16


@pytest.mark.parametrize("asking", [0, 60, 400])
def test_while_one_types_no_more_runs_are_asked_for_than_letters(simulate, asking):
    found = simulate(300, asking=asking)
    assert len(found["runs"]) - 1 <= LETTERS and found["most"] <= 2


@pytest.mark.parametrize("asking", [0, 15, 60])
@pytest.mark.parametrize("duration", [190, 300])
def test_while_one_types_a_run_waits_only_where_it_begins_before_the_next_letter(
    simulate, duration, asking
):
    # any later, it would be out of date
    for run in simulate(duration, asking=asking)["runs"]:
        assert run["began"] <= 3 * duration + GAP * (run["state"] + 1)


def test_a_letter_in_a_picture_that_is_let_through_is_asked_for_before_that_has_ended(simulate):
    # the last one falls into such a picture now and then
    for letters in range(30, 60):
        found = simulate(210, letters=letters, gap=118, asking=15)
        # a run begins a debounce of 20 ms after a letter, and ends 98 ms after the next one
        assert found["shown"][-1]["at"] - found["last"] <= 210 + 98 + 21


def test_what_waits_behind_a_picture_that_was_due_is_not_let_through_as_well(simulate):
    found = simulate(190, gap=130, asking=30)
    states = [one["state"] for one in found["shown"]]
    assert all(b - a >= 2 for a, b in zip(states, states[1:], strict=False))


def test_on_a_page_whose_timers_are_late_runs_begin_while_one_types(simulate):
    # a tenth of the run and the lag are longer than it takes to type the next letter
    found = simulate(600, gap=100, lag=60)
    assert len([one for one in found["shown"] if 0 < one["state"] < LETTERS]) >= 3

import csv
import io
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from fewstep.evaluate.pairing import Prompt, Study, pairs_of
from fewstep.evaluate.vote_file import SCHEMA, study_text
from fewstep.evaluate.votes import HUMAN, MODEL, Progress, Votes, csv_text, json_text

STUDY = Study(
    id="student against teacher",
    contenders=("teacher", "student", "draft"),
    prompts=tuple(Prompt(f"prompt {i}", ("faces",) if i % 2 else ()) for i in range(4)),
    seed=3,
    questions={"faces": "Whose face looks right?"},
)
# 4 prompts of 3 pairs of contenders, a tenth of them again
TOTAL = 12 + 1
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "votes.sqlite"


@pytest.fixture
def votes(path):
    with Votes(path, STUDY) as votes:
        yield votes


def answer_all(votes, rater, choice="left", **kind):
    while pair := votes.next_pair(rater, **kind):
        votes.vote(rater, pair.number, choice, **kind)


def numbers(votes, rater="ann"):
    return [vote.number for vote in votes.votes() if vote.rater == rater]


def events(path):
    """The log, read by SQLite alone."""
    with sqlite3.connect(path) as db:
        return db.execute("SELECT id, time, event, number, choice, undone FROM events").fetchall()


def test_a_rater_is_shown_his_pairs_one_by_one_until_none_is_left(votes):
    expected = pairs_of("ann", STUDY)
    assert len(expected) == TOTAL
    for i, pair in enumerate(expected):
        assert votes.progress("ann") == Progress(i, TOTAL)
        # asked twice, as by a page that is loaded anew
        assert votes.next_pair("ann") == votes.next_pair("ann") == pair
        votes.vote("ann", pair.number, "skip" if i % 3 else "tie")
    assert votes.next_pair("ann") is None and votes.progress("ann") == Progress(TOTAL, TOTAL)


def test_a_study_goes_on_where_it_was_in_another_program(path):
    with Votes(path, STUDY) as votes:
        for _ in range(5):
            votes.vote("ann", votes.next_pair("ann").number, "right")
        cast = votes.votes()
    for study in (None, STUDY):
        with Votes(path, study) as votes:
            assert votes.study == STUDY and votes.votes() == cast
            assert votes.next_pair("ann") == pairs_of("ann", STUDY)[5]


def test_pairs_stay_as_they_were_first_shown_whatever_a_later_version_draws(path, votes):
    first = votes.next_pair("ann")
    with sqlite3.connect(path) as db:
        db.execute('UPDATE pairs SET "left" = ?, "right" = ?', (first.right, first.left))
    assert votes.next_pair("ann") == first._replace(left=first.right, right=first.left)


@pytest.mark.parametrize(
    ("choice", "score"), [("left", 1.0), ("right", 0.0), ("tie", 0.5), ("skip", None)]
)
def test_a_vote_is_told_by_contenders_in_the_studys_order_whatever_their_sides(
    votes, choice, score
):
    answer_all(votes, "ann", choice)
    found = votes.votes()
    order = STUDY.contenders.index
    for vote, pair in zip(found, pairs_of("ann", STUDY), strict=True):
        is_kept = order(pair.left) < order(pair.right)
        assert (vote.a, vote.b) == ((pair.left, pair.right) if is_kept else (pair[3], pair[2]))
        assert vote.score == (score if is_kept or score is None else 1.0 - score)
        assert (vote.rater, vote.kind) == ("ann", HUMAN)
        assert (vote.number, vote.prompt) == (pair.number, pair.prompt)
        assert vote.is_repeat is pair.is_repeat
        assert (vote.text, vote.tags) == STUDY.prompts[pair.prompt]
    # both ways, or the test above says nothing
    assert {order(pair.left) < order(pair.right) for pair in pairs_of("ann", STUDY)} == {
        True,
        False,
    }


def test_ids_rise_and_times_are_utc(votes):
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    answer_all(votes, "ann")
    ids, times = zip(*((vote.id, vote.time) for vote in votes.votes()), strict=True)
    assert list(ids) == sorted(set(ids)) and list(times) == sorted(times)
    for time_of_vote in map(datetime.fromisoformat, times):
        assert time_of_vote.utcoffset() == timedelta(0)
        assert before < time_of_vote < datetime.now(timezone.utc) + timedelta(seconds=1)


def test_undo_takes_back_the_last_vote_and_then_the_one_before(path, votes):
    pairs = pairs_of("ann", STUDY)
    for number, choice in enumerate(["left", "skip", "right"]):
        votes.next_pair("ann")
        votes.vote("ann", number, choice)
    assert votes.undo("ann") == pairs[2] == votes.next_pair("ann")
    assert votes.undo("ann") == pairs[1] == votes.next_pair("ann")
    votes.vote("ann", 1, "tie")
    assert numbers(votes) == [0, 1] and votes.votes()[1].score == 0.5
    # the log has all of it
    assert [event[2:] for event in events(path)] == [
        ("vote", 0, "left", None),
        ("vote", 1, "skip", None),
        ("vote", 2, "right", None),
        ("undo", 2, None, 3),
        ("undo", 1, None, 2),
        ("vote", 1, "tie", None),
    ]


def test_undo_leaves_others_votes_alone(votes):
    for rater in ("ann", "ben"):
        votes.vote(rater, votes.next_pair(rater).number, "left")
    votes.undo("ann")
    assert numbers(votes, "ann") == [] and numbers(votes, "ben") == [0]


def test_the_log_refuses_to_be_changed(path, votes):
    votes.vote("ann", votes.next_pair("ann").number, "left")
    with sqlite3.connect(path) as db:
        for act in ("UPDATE events SET choice = 'right'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                db.execute(act)


def test_a_models_votes_and_a_persons_of_one_name_never_meet(votes):
    answer_all(votes, "ann", kind=MODEL)
    assert votes.votes() == [] and {vote.kind for vote in votes.votes(kind=MODEL)} == {MODEL}
    assert votes.progress("ann") == Progress(0, TOTAL)
    assert votes.next_pair("ann").number == 0
    with pytest.raises(ValueError, match="ann has no vote to take back"):
        votes.undo("ann")
    votes.vote("ann", 0, "tie")
    assert len(votes.votes()) == 1 and len(votes.votes(kind=MODEL)) == TOTAL


def test_results_are_hidden_until_all_who_began_have_voted(votes):
    with pytest.raises(ValueError, match="hidden until all have voted: nobody has begun. Wait"):
        votes.results()
    answer_all(votes, "ann")
    assert votes.results() == votes.votes()
    votes.next_pair("ben")
    for _ in range(3):
        votes.vote("ben", votes.next_pair("ben").number, "left")
    with pytest.raises(
        ValueError, match="have voted: ben has 10 to answer. Wait, or close the study"
    ):
        votes.results()
    answer_all(votes, "ben")
    assert len(votes.results()) == 2 * TOTAL
    votes.undo("ann")
    with pytest.raises(ValueError, match="ann has 1 to answer"):
        votes.results()


def test_a_person_who_still_votes_is_not_shown_a_models_results(votes):
    answer_all(votes, "judge", kind=MODEL)
    votes.next_pair("ann")
    with pytest.raises(ValueError, match="ann has 13 to answer"):
        votes.results(kind=MODEL)


def test_a_closed_study_shows_its_results_and_takes_no_more(path, votes):
    votes.vote("ann", votes.next_pair("ann").number, "left")
    assert not votes.is_closed()
    votes.close()
    votes.close()
    assert votes.is_closed() and len(votes.results()) == 1
    assert votes.next_pair("ann") is None and votes.next_pair("ben") is None
    for act in (lambda: votes.vote("ann", 1, "left"), lambda: votes.undo("ann")):
        with pytest.raises(ValueError, match="the study is closed; its votes stay"):
            act()
    assert votes.progress("ben").answered == 0
    assert [event[2] for event in events(path)] == ["vote", "close"]


@pytest.mark.parametrize(
    ("number", "choice", "message"),
    [
        (0, "left", "ann has answered pair 0 already; take votes back to change one"),
        (13, "left", "there is no pair 13 of ann, who has pairs 0 to 12"),
        (-1, "left", "there is no pair -1 of ann"),
        (True, "left", "there is no pair True of ann"),
        ("1", "left", "there is no pair '1' of ann"),
        (2**70, "left", "there is no pair 1180591620717411303424 of ann"),
        (1, "LEFT", "choice is 'LEFT'; allowed are left, right, tie, skip"),
        (1, None, "choice is None"),
        (1, ["left"], r"choice is \['left'\]"),
    ],
)
def test_a_vote_that_is_none_is_refused_and_changes_nothing(path, votes, number, choice, message):
    votes.vote("ann", votes.next_pair("ann").number, "right")
    before = events(path)
    with pytest.raises(ValueError, match=message):
        votes.vote("ann", number, choice)
    assert events(path) == before and votes.next_pair("ann").number == 1


def test_who_has_not_begun_has_no_pair(votes):
    for act in (lambda: votes.vote("ann", 0, "left"), lambda: votes.pair("ann", 0)):
        with pytest.raises(ValueError, match="there is no pair 0 of ann, who has not begun"):
            act()
    votes.next_pair("ann")
    assert votes.pair("ann", 12) == pairs_of("ann", STUDY)[12]


@pytest.mark.parametrize(
    "name", ["", "x" * 65, " ann", "ann\n", "a\tb", "a\x00b", "\ud800", "\u202eann", None, 7]
)
def test_a_name_that_is_none_is_refused_everywhere(votes, name):
    calls = votes.next_pair, votes.undo, votes.progress
    for call in (*calls, lambda name: votes.vote(name, 0, "tie"), lambda name: votes.pair(name, 0)):
        with pytest.raises(
            ValueError, match="rater is .*; a name has 1 to 64 printable characters"
        ):
            call(name)


@pytest.mark.parametrize("name", ["x", "x" * 64, "Änne 安娜", "'; DROP TABLE events; --", "=1+1"])
def test_any_printable_name_votes(votes, name):
    answer_all(votes, name)
    assert {vote.rater for vote in votes.results()} == {name}


def test_another_kind_is_refused_everywhere(votes):
    calls = (
        lambda kind: votes.next_pair("ann", kind=kind),
        lambda kind: votes.pair("ann", 0, kind=kind),
        lambda kind: votes.vote("ann", 0, "tie", kind=kind),
        lambda kind: votes.undo("ann", kind=kind),
        lambda kind: votes.progress("ann", kind=kind),
        lambda kind: votes.votes(kind=kind),
        lambda kind: votes.results(kind=kind),
    )
    answer_all(votes, "ann")
    for call in calls:
        with pytest.raises(ValueError, match="kind is 'robot'; allowed are human, model"):
            call("robot")


def test_csv_has_a_row_a_vote_that_no_spreadsheet_runs(path):
    study = STUDY._replace(
        contenders=("@teacher", "+student"),
        prompts=(Prompt('=HYPERLINK("x")\nsecond, line', ("faces", "text")), Prompt("-5 °C")),
        repeats=0.0,
    )
    with Votes(path, study) as votes:
        answer_all(votes, "=1+1", "tie")
        answer_all(votes, "ann", "skip")
        found = votes.results()
    rows = list(csv.DictReader(io.StringIO(csv_text(found), newline="")))
    assert [row["rater"] for row in rows] == ["'=1+1", "'=1+1", "ann", "ann"]
    texts = '\'=HYPERLINK("x")\nsecond, line', "'-5 °C"
    assert [row["text"] for row in rows] == [texts[vote.prompt] for vote in found]
    assert {(row["a"], row["b"]) for row in rows} == {("'@teacher", "'+student")}
    assert [row["score"] for row in rows] == ["0.5", "0.5", "", ""]
    assert {row["tags"] for row in rows} == {"faces;text", ""}
    # numbers are no texts
    assert [int(row["id"]) for row in rows] == [1, 2, 3, 4]


def test_json_has_the_study_and_its_votes_to_the_letter(votes):
    answer_all(votes, "=1+1", "right")
    told = json.loads(json_text(votes.study, votes.results()))
    assert told["study"]["contenders"] == list(STUDY.contenders)
    assert told["study"]["questions"] == STUDY.questions and told["study"]["seed"] == 3
    assert told["study"]["prompts"][1] == ["prompt 1", ["faces"]]
    fields = [{**vote._asdict(), "tags": list(vote.tags)} for vote in votes.votes()]
    assert told["votes"] == fields and fields[0]["rater"] == "=1+1"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 4}, "holds the study 'student against teacher', .* another seed; choose another"),
        ({"id": "x", "prompts": STUDY.prompts[1:]}, "another id, prompts;"),
        ({"questions": {}}, "another questions;"),
    ],
)
def test_a_file_takes_no_other_study(path, votes, changed, message):
    answer_all(votes, "ann")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        Votes(path, STUDY._replace(**changed))
    assert path.read_bytes() == before


def test_what_cannot_be_compared_begins_no_file(path):
    with pytest.raises(ValueError, match="a comparison needs 2 or more"):
        Votes(path, STUDY._replace(contenders=("teacher",)))
    with pytest.raises(ValueError, match="votes.sqlite is not there; give a study"):
        Votes(path)
    assert not path.exists()


def sqlite_file(path, *statements):
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"x"), "holds no votes; choose another name"),
        (lambda path: path.write_text("rater,vote\n" * 99), "holds no votes, or is damaged"),
        (
            lambda path: sqlite_file(path, "CREATE TABLE mine (x)", "INSERT INTO mine VALUES (1)"),
            "holds no votes; choose another name. It is as it was",
        ),
        (
            lambda path: (Votes(path, STUDY), sqlite_file(path, "PRAGMA user_version = 2")),
            "is of version 2, and this FewStep reads version 1; open it with the FewStep that made",
        ),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(path, make, message):
    make(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        Votes(path, STUDY)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error_with_a_remedy(path):
    for place in (path.parent / "none" / "votes.sqlite", path.parent):
        with pytest.raises(OSError, match="could not be read or written: unable to open .* folder"):
            Votes(place, STUDY)


def test_a_file_that_another_program_keeps_is_an_error_and_voting_goes_on_after(
    path, votes, monkeypatch
):
    votes.next_pair("ann")
    monkeypatch.setattr("fewstep.evaluate.vote_file.PATIENCE", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Votes(path) as impatient:
        with pytest.raises(OSError, match="locked. See .* no other program keeps the file"):
            impatient.vote("ann", 0, "left")
        other.execute("ROLLBACK")
        impatient.vote("ann", 0, "left")
    assert numbers(votes) == [0]
    other.close()


@contextmanager
def another_program_that_writes(path, *statements):
    """Begins to write before and is done a moment after."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for statement, *values in (("BEGIN IMMEDIATE",), *statements):
        other.execute(statement, *values)
    done = threading.Timer(0.3, other.execute, ["COMMIT"])
    done.start()
    yield
    done.join()
    other.close()


def test_a_vote_waits_for_that_of_another_program_and_is_none_where_that_was_the_same(path, votes):
    votes.next_pair("ann")
    vote = "INSERT INTO events VALUES (NULL, '', 'vote', 'human', 'ann', 0, 'tie', NULL)"
    with another_program_that_writes(path, (vote,)):
        with pytest.raises(ValueError, match="ann has answered pair 0 already"):
            votes.vote("ann", 0, "left")
    with another_program_that_writes(path, (vote.replace("0", "1"),)):
        votes.vote("ann", 2, "left")
    assert [vote.number for vote in votes.votes()] == [0, 1, 2]


def test_a_study_that_another_program_just_begins_is_gone_on_with(path):
    study = "INSERT INTO study VALUES (?)", (study_text(STUDY),)
    with another_program_that_writes(path, *((statement,) for statement in SCHEMA), study):
        with Votes(path, STUDY) as votes:
            assert votes.study == STUDY and votes.votes() == []


def in_a_fork(act):
    """The text that an act in a child process returns, or of its error."""
    told = multiprocessing.get_context("fork").SimpleQueue()

    def run():
        try:
            told.put(str(act()))
        except Exception as error:
            told.put(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    return told.get()


@forks
def test_a_folder_that_may_only_be_read_shows_its_votes_and_takes_none():
    # root may write anywhere, so its child becomes a user who can see no folder of pytest's
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.sqlite"
        with Votes(path, STUDY) as votes:
            votes.vote("ann", votes.next_pair("ann").number, "left")
        before = path.read_bytes()
        path.chmod(0o444)
        path.parent.chmod(0o555)

        def act(call):
            if os.geteuid() == 0:
                os.setuid(65534)
            with Votes(path) as votes:
                return call(votes)

        read = in_a_fork(lambda: act(lambda votes: len(votes.votes())))
        told = in_a_fork(lambda: act(lambda votes: votes.vote("ann", 1, "left")))
        path.parent.chmod(0o755)
        assert read == "1" and path.read_bytes() == before
    assert "OSError" in told and "votes.sqlite could not be read or written: attempt to" in told


@forks
def test_a_full_disk_is_an_error_and_every_vote_before_it_stays(path):
    resource = pytest.importorskip("resource")

    def act():
        with Votes(path, STUDY) as votes:
            votes.next_pair("ann")
            # for which a limit on the size of files stands
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            size = path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            for i in range(10_000):
                try:
                    votes.vote("ann", votes.next_pair("ann").number, "left")
                    votes.undo("ann")
                except OSError as error:
                    return f"{i} {len(votes.votes())} {error}"

    whole, standing, told = in_a_fork(act).split(" ", 2)
    assert int(whole) > 5 and "could not be read or written" in told and "disk has room" in told
    with Votes(path) as votes:
        assert len(votes.votes()) == int(standing) == len(events(path)) - 2 * int(whole)
        answer_all(votes, "ann")
        assert len(votes.results()) == TOTAL


def vote_and_tell(path, pipe, study):
    """Vote until killed; what is written to the pipe is acknowledged."""
    with Votes(path, study) as votes:
        while pair := votes.next_pair("ann"):
            votes.vote("ann", pair.number, "left")
            os.write(pipe, f"{pair.number}\n".encode())


@forks
def test_no_vote_is_lost_or_doubled_by_kills_at_random_moments(path):
    study = STUDY._replace(prompts=tuple(Prompt(f"prompt {i}") for i in range(300)))
    forked, dice = multiprocessing.get_context("fork"), random.Random(5)
    acknowledged = []
    for waits in (0, 0, 0, 0, *range(1, 13)):
        reader, writer = os.pipe()
        killed = forked.Process(target=vote_and_tell, args=(path, writer, study))
        killed.start()
        os.close(writer)
        with os.fdopen(reader) as lines:
            acknowledged += [int(lines.readline()) for _ in range(waits)]
            # while the file is begun, or a later vote is written
            time.sleep(dice.uniform(0.0, 0.03 if waits else 0.3))
            os.kill(killed.pid, signal.SIGKILL)
            killed.join()
            assert killed.exitcode == -signal.SIGKILL
            acknowledged += [int(line) for line in lines if line.endswith("\n")]
        with Votes(path, study) as votes:
            standing = numbers(votes)
        # each kill leaves at most one that was not acknowledged yet
        assert standing == list(range(len(standing)))
        assert set(acknowledged) <= set(standing) and len(standing) <= len(acknowledged) + 16
    assert len(acknowledged) == len(set(acknowledged)) >= 78
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def vote_at(meeting, path, rater):
    meeting.wait(30)
    with Votes(path, STUDY) as votes:
        while pair := votes.next_pair(rater):
            try:
                votes.vote(rater, pair.number, "tie")
            except ValueError as error:
                assert "answered pair" in str(error)


@forks
@pytest.mark.parametrize("raters", [("ann", "ben", "cyd"), ("ann", "ann", "ann")])
def test_processes_vote_at_once_from_a_file_that_is_not_there_yet(path, raters):
    forked = multiprocessing.get_context("fork")
    meeting = forked.Barrier(len(raters))
    processes = [forked.Process(target=vote_at, args=(meeting, path, name)) for name in raters]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    with Votes(path) as votes:
        found = Counter((vote.rater, vote.number) for vote in votes.results())
    assert found == Counter((name, number) for name in set(raters) for number in range(TOTAL))

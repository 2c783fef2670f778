"""python run.py judge: the cost first, then votes of a model, apart from those of people."""

import pytest
from judge_server import brighter, serve
from picture_sets import golden_set, grey, make_set

from fewstep.evaluate import comparison_folder as comparisons
from fewstep.evaluate.votes import MODEL
from fewstep.headless import judge

__all__ = ["serve"]

ROWS = golden_set(12)


@pytest.fixture
def folder(tmp_path):
    for name, brightness in (("zebra", 40), ("quagga", 160)):
        make_set(tmp_path, name, ROWS, lambda row, b=brightness: grey(b + row))
    comparisons.begin(tmp_path, "mine", ["zebra", "quagga"])
    return tmp_path


def command(folder, address, *more):
    return [str(folder), "mine", "--address", address, "--model", "judge-7b", *more]


def votes_of_models(folder):
    with comparisons.opened(folder, "mine") as votes:
        return votes.votes(kind=MODEL)


def test_what_it_takes_is_said_and_nothing_is_asked_unless_the_user_agrees(
    folder, serve, capsys, monkeypatch
):
    server = serve(brighter)
    for answer in ("", "n", "no way"):
        monkeypatch.setattr("builtins.input", lambda _, said=answer: said)
        prices = ["--prices", "2.5", "10"]
        assert judge.main(command(folder, server.address, *prices)) == judge.DECLINED
    told = capsys.readouterr().out
    # 12 prompts, one of them again; two orders of two pictures
    assert "13 pairs are to be judged with 26 requests that send 52 pictures" in told
    assert "at the prices given" in told and f"go to {server.address}/chat/completions" in told
    assert server.seen == [] and votes_of_models(folder) == []


def test_a_model_votes_on_every_pair_and_the_result_is_told(folder, serve, capsys, monkeypatch):
    monkeypatch.setenv(judge.KEY, "sk-s3cret")
    server = serve(brighter)
    assert judge.main(command(folder, server.address, "--yes")) == judge.DONE
    found = votes_of_models(folder)
    assert len(found) == 13
    assert all((vote.score == 1.0) == (vote.a == "quagga") for vote in found)
    told = capsys.readouterr().out
    assert "13 pairs judged; 0 answers changed with the order" in told
    assert "quagga is preferred to zebra: 100 % of the votes" in told
    assert {asked.headers["Authorization"] for asked in server.seen} == {"Bearer sk-s3cret"}
    assert not [asked for asked in server.seen if b"zebra" in asked.raw or b"quagga" in asked.raw]


def test_results_stay_hidden_while_people_still_vote(folder, serve, capsys):
    with comparisons.opened(folder, "mine") as votes:
        votes.next_pair("ann")
    assert judge.main(command(folder, serve(brighter).address, "--yes")) == judge.DONE
    told = capsys.readouterr().out
    assert "results are hidden until all have voted: ann has 13 to answer" in told
    assert "preferred" not in told


def test_a_server_that_goes_away_is_told_and_the_same_command_goes_on(folder, serve, capsys):
    server = serve(lambda asked: brighter(asked) if len(server.seen) < 10 else (500, {}, b"no"))
    assert judge.main(command(folder, server.address, "--yes")) == judge.REFUSED
    assert "500" in capsys.readouterr().err
    assert 4 <= len(votes_of_models(folder)) < 13
    server.behave = brighter
    assert judge.main(command(folder, server.address, "--yes")) == judge.DONE
    assert [vote.number for vote in votes_of_models(folder)] == list(range(13))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--address": "ftp://127.0.0.1/v1"}, "address"),
        ({"--model": " "}, "model is ' '"),
        ({"mine": "yours"}, "there is no comparison 'yours'"),
        ({"mine": "../mine"}, "name is '../mine'; allowed are letters"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    folder, serve, capsys, changed, message
):
    server = serve(brighter)
    arguments = command(folder, server.address, "--yes")
    for key, value in changed.items():
        at = arguments.index(key)
        arguments[at + (1 if key.startswith("--") else 0)] = value
    assert judge.main(arguments) == judge.REFUSED
    assert message in capsys.readouterr().err and server.seen == []


def test_pictures_made_anew_are_not_judged(folder, serve, capsys):
    server = serve(brighter)
    path = folder / "pictures" / "zebra" / "manifest.json"
    path.write_text(path.read_text().replace('"zebra"', '"another"'))
    assert judge.main(command(folder, server.address, "--yes")) == judge.REFUSED
    assert "were made anew since it was begun" in capsys.readouterr().err and server.seen == []

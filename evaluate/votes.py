"""The votes of a blind comparison: asked for pair by pair, kept, hidden until all have voted.

No event is changed or deleted; a vote that was taken back is one that another event revokes.
"""

import csv
import io
import json
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from .pairing import Pair, Study, check_name, pairs_of
from .vote_file import READING, WRITING, VoteFile, study_text

# of what is on the left
SCORES = {"left": 1.0, "right": 0.0, "tie": 0.5, "skip": None}
CHOICES = tuple(SCORES)
HUMAN, MODEL = KINDS = ("human", "model")
# a cell that starts so is a formula to a spreadsheet
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
PAIR = 'number, prompt, "left", "right", is_repeat'
UNANSWERED = """NOT EXISTS (SELECT 1 FROM standing
    WHERE (kind, rater, number) = (pair.kind, pair.rater, pair.number))"""


class Progress(NamedTuple):
    """Pairs that a rater has answered, skipped ones too, of all that he sees."""

    answered: int
    total: int


class Vote(NamedTuple):
    """A vote that stands, by contenders.

    Attributes:
        id: rises with time, which is UTC.
        prompt, text, tags: of the study's prompts: which from 0 on, and what it says.
        a, b: contenders, in the study's order.
        score: of a: 1 where it won, 0 where b did, 0.5 a tie, None skipped.
    """

    id: int
    time: str
    kind: str
    rater: str
    number: int
    prompt: int
    text: str
    tags: tuple[str, ...]
    a: str
    b: str
    score: float | None
    is_repeat: bool


class Votes:
    """The file of a study, for use in `with`, by any threads and processes at once.

    Each method is one transaction, on the disk when it returns. Raters are told apart by name and
    kind, HUMAN or MODEL; no call reads votes of both. Any method raises a ValueError for a name
    that is none or another kind, and an OSError where the file cannot be read or written, which
    leaves what was there.

    Attributes:
        study: as it is in the file.
    """

    def __init__(self, path: str | Path, study: Study | None = None):
        """Open the file of a study, or begin it.

        Args:
            study: what the file must hold; None: what it holds.

        Raises:
            ValueError: the file is not there and no study is given, is none of votes, is of another
                version, or holds another study; or the study is none, as of `check_study`.
            OSError: the file cannot be read or written.
        """
        self._file = VoteFile(path, study)
        self.study = self._file.study

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.shut()

    def next_pair(self, rater: str, *, kind: str = HUMAN) -> Pair | None:
        """The first pair that a rater has not answered; whoever asks for one has begun.

        Returns:
            None where he has answered all, or the study is closed.
        """
        _check_rater(rater, kind)
        with self._file.transaction(WRITING) as db:
            if _is_closed(db):
                return None
            if not _count(db, "pairs", kind, rater):
                rows = [(kind, rater, *pair) for pair in pairs_of(rater, self.study)]
                db.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            return _pair(db, kind, rater, f"{UNANSWERED} ORDER BY number LIMIT 1")

    def pair(self, rater: str, number: int, *, kind: str = HUMAN) -> Pair:
        """A pair of a rater who has begun, answered or not.

        Raises:
            ValueError: he has none of this number.
        """
        _check_rater(rater, kind)
        with self._file.transaction(READING) as db:
            return _numbered(db, kind, rater, number)

    def vote(self, rater: str, number: int, choice: str, *, kind: str = HUMAN) -> None:
        """Keep the answer to a pair.

        Args:
            choice: one of CHOICES.

        Raises:
            ValueError: choice is none; the rater has no such pair, or has answered it; the study is
                closed.
        """
        _check_rater(rater, kind)
        if choice not in CHOICES:
            raise ValueError(f"choice is {choice!r}; allowed are {', '.join(CHOICES)}.")
        with self._file.transaction(WRITING) as db:
            _refuse_if_closed(db)
            _numbered(db, kind, rater, number)
            if _count(db, "standing", kind, rater, "AND number = ?", number):
                raise ValueError(
                    f"{rater} has answered pair {number} already; take votes back to change one."
                )
            _add(db, "vote", kind, rater, number, choice)

    def undo(self, rater: str, *, kind: str = HUMAN) -> Pair:
        """Take a rater's last vote back, and with the next call the one before it.

        Returns:
            the pair, which is unanswered now.

        Raises:
            ValueError: he has no vote to take back, or the study is closed.
        """
        _check_rater(rater, kind)
        with self._file.transaction(WRITING) as db:
            _refuse_if_closed(db)
            last = db.execute(
                "SELECT id, number FROM standing WHERE (kind, rater) = (?, ?) ORDER BY id DESC",
                (kind, rater),
            ).fetchone()
            if last is None:
                raise ValueError(f"{rater} has no vote to take back.")
            undone, number = last
            _add(db, "undo", kind, rater, number, undone=undone)
            return _numbered(db, kind, rater, number)

    def progress(self, rater: str, *, kind: str = HUMAN) -> Progress:
        """How far a rater is; 0 of all where he has not begun."""
        _check_rater(rater, kind)
        with self._file.transaction(READING) as db:
            total = _count(db, "pairs", kind, rater) or len(pairs_of(rater, self.study))
            return Progress(_count(db, "standing", kind, rater), total)

    def is_closed(self) -> bool:
        with self._file.transaction(READING) as db:
            return _is_closed(db)

    def close(self) -> None:
        """End the voting for good, whoever has not finished; it may be called again."""
        with self._file.transaction(WRITING) as db:
            if not _is_closed(db):
                _add(db, "close")

    def results(self, *, kind: str = HUMAN) -> list[Vote]:
        """`votes`, behind a curtain that hides them from those who still vote.

        Raises:
            ValueError: the study is not closed, and a rater of any kind who has begun has pairs to
                answer, or none has begun.
        """
        with self._file.transaction(READING) as db:
            to_go = db.execute(
                f"SELECT rater, count(*) FROM pairs AS pair WHERE {UNANSWERED} GROUP BY kind, rater"
            ).fetchall()
            has_begun = db.execute("SELECT EXISTS (SELECT 1 FROM pairs)").fetchone()[0]
            if not _is_closed(db) and (to_go or not has_begun):
                who = ", ".join(f"{rater} has {pairs} to answer" for rater, pairs in to_go)
                raise ValueError(
                    f"results are hidden until all have voted: {who or 'nobody has begun'}. Wait, "
                    "or close the study."
                )
        return self.votes(kind=kind)

    def votes(self, *, kind: str = HUMAN) -> list[Vote]:
        """The votes that stand, in the order in which they were cast; no rater should see them."""
        _check_kind(kind)
        with self._file.transaction(READING) as db:
            rows = db.execute(
                f"SELECT id, time, kind, rater, choice, {PAIR} FROM standing "
                "JOIN pairs USING (kind, rater, number) WHERE kind = ? ORDER BY id",
                (kind,),
            ).fetchall()
        return [self._by_contenders(*row[:5], _as_pair(row[5:])) for row in rows]

    def _by_contenders(self, event, time, kind, rater, choice, pair):
        a, b = sorted((pair.left, pair.right), key=self.study.contenders.index)
        score = SCORES[choice]
        if score is not None and a == pair.right:
            score = 1.0 - score
        shown = pair.prompt, *self.study.prompts[pair.prompt]
        return Vote(event, time, kind, rater, pair.number, *shown, a, b, score, pair.is_repeat)


def csv_text(votes: Iterable[Vote]) -> str:
    """Votes as a table with a header; a text that a spreadsheet would run gets a ' in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Vote._fields)
    for vote in votes:
        cells = vote._replace(tags=";".join(vote.tags))
        writer.writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def json_text(study: Study, votes: Iterable[Vote]) -> str:
    """A study and votes of it, to the letter."""
    found = [vote._asdict() for vote in votes]
    return json.dumps({"study": json.loads(study_text(study)), "votes": found}, indent=1)


def _harmless(cell):
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _check_kind(kind):
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(KINDS)}.")


def _check_rater(rater, kind):
    check_name("rater", rater)
    _check_kind(kind)


def _count(db, table, kind, rater, more="", *values):
    query = f"SELECT count(*) FROM {table} WHERE (kind, rater) = (?, ?) {more}"
    return db.execute(query, (kind, rater, *values)).fetchone()[0]


def _pair(db, kind, rater, which, *values):
    query = f"SELECT {PAIR} FROM pairs AS pair WHERE (kind, rater) = (?, ?) AND {which}"
    row = db.execute(query, (kind, rater, *values)).fetchone()
    return None if row is None else _as_pair(row)


def _numbered(db, kind, rater, number):
    # SQLite takes True for 1, and has no number of more than 64 bits
    is_number = type(number) is int and 0 <= number < 2**63
    pair = _pair(db, kind, rater, "number = ?", number) if is_number else None
    if pair is None:
        total = _count(db, "pairs", kind, rater)
        has = f"pairs 0 to {total - 1}" if total else "not begun"
        raise ValueError(f"there is no pair {number!r} of {rater}, who has {has}.")
    return pair


def _as_pair(row):
    *values, is_repeat = row
    return Pair(*values, bool(is_repeat))


def _is_closed(db):
    return bool(
        db.execute("SELECT EXISTS (SELECT 1 FROM events WHERE event = 'close')").fetchone()[0]
    )


def _refuse_if_closed(db):
    if _is_closed(db):
        raise ValueError("the study is closed; its votes stay as they are.")


def _add(db, event, kind=None, rater=None, number=None, choice=None, undone=None):
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    values = time, event, kind, rater, number, choice, undone
    db.execute("INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", values)

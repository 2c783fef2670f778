"""The SQLite file of a blind comparison, of which each transaction is on the disk when it ends.

It holds one study: what is compared, the pairs that each rater sees, and a log of events to which
is only ever added.
"""

import json
import sqlite3
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from .pairing import Prompt, Study, check_study

# seconds for which another process may hold the file
PATIENCE = 30.0
# SQLite's marks of whose file it is, and of the tables below
APPLICATION, VERSION = 0x4657766F, 1
SCHEMA = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
    "CREATE TABLE study (fields TEXT NOT NULL)",
    # drawn once, so that a later FewStep, which may draw otherwise, goes on with the same pairs
    """CREATE TABLE pairs (
        kind TEXT, rater TEXT, number INTEGER, prompt INTEGER, "left" TEXT, "right" TEXT,
        is_repeat INTEGER, PRIMARY KEY (kind, rater, number)) WITHOUT ROWID""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, event TEXT NOT NULL,
        kind TEXT, rater TEXT, number INTEGER, choice TEXT, undone INTEGER UNIQUE)""",
    "CREATE INDEX answers ON events (kind, rater, number)",
    """CREATE VIEW standing AS SELECT * FROM events AS vote WHERE event = 'vote'
        AND NOT EXISTS (SELECT 1 FROM events WHERE undone = vote.id)""",
    *(
        f"CREATE TRIGGER no_{act} BEFORE {act} ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END"
        for act in ("UPDATE", "DELETE")
    ),
)
READING, WRITING = "BEGIN", "BEGIN IMMEDIATE"


class VoteFile:
    """An open file of votes, for any threads and processes at once.

    Attributes:
        study: as it is in the file.
    """

    def __init__(self, path: str | Path, study: Study | None = None):
        """Open the file, or begin it.

        Args:
            study: what the file must hold; None: what it holds.

        Raises:
            ValueError: the file is not there and no study is given, is none of votes, is of another
                version, or holds another study; or the study is none, as of `check_study`.
            OSError: the file cannot be read or written.
        """
        self.path = Path(path)
        if study is not None:
            check_study(study)
        elif not self.path.is_file():
            raise ValueError(f"{path} is not there; give a study to begin it with.")
        self._lock = threading.Lock()
        with self._as_sentences():
            self._db = sqlite3.connect(
                self.path, PATIENCE, isolation_level=None, check_same_thread=False
            )
        try:
            self.study = self._opened(study)
        except BaseException:
            self._db.close()
            raise

    def shut(self) -> None:
        """Let go of the file; nothing is lost where this is left out."""
        self._db.close()

    @contextmanager
    def transaction(self, begin: str):
        """Lend the connection for one transaction, which no error leaves half done.

        Args:
            begin: READING or WRITING.

        Raises:
            OSError: the file cannot be read or written, or another process keeps it.
            ValueError: it is damaged.
        """
        with self._lock, self._as_sentences():
            try:
                self._db.execute(begin)
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # there is nothing to roll back where SQLite did so itself
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _opened(self, study):
        # waits for the disk, so that not even a power cut takes a vote back
        with self._as_sentences():
            self._db.execute("PRAGMA synchronous = EXTRA")
        # what is there is only read, so that a folder that cannot be written to can be
        with self.transaction(READING) as db:
            is_new = self._is_empty(db)
        if is_new and study is not None:
            with self.transaction(WRITING) as db:
                # another process may have been quicker
                if self._is_empty(db):
                    for statement in SCHEMA:
                        db.execute(statement)
                    db.execute("INSERT INTO study VALUES (?)", (study_text(study),))
        with self.transaction(READING) as db:
            return self._stored(db, study)

    def _is_empty(self, db):
        # SQLite takes a file of a few bytes of something else for an empty one
        has_tables = db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]
        return not has_tables and self.path.stat().st_size == 0

    def _stored(self, db, study):
        (mark,), (version,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if mark != APPLICATION:
            raise ValueError(f"{self.path} holds no votes; choose another name. It is as it was.")
        if version != VERSION:
            raise ValueError(
                f"{self.path} is of version {version}, and this FewStep reads version {VERSION}; "
                "open it with the FewStep that made it, or choose another name."
            )
        fields = json.loads(db.execute("SELECT fields FROM study").fetchone()[0])
        given = fields if study is None else json.loads(study_text(study))
        other = [name for name in fields if fields[name] != given[name]]
        if other:
            raise ValueError(
                f"{self.path} holds the study {fields['id']!r}, and the one given has another "
                f"{', '.join(other)}; choose another name, or go on with that study."
            )
        prompts = tuple(Prompt(text, tuple(tags)) for text, tags in fields.pop("prompts"))
        return Study(contenders=tuple(fields.pop("contenders")), prompts=prompts, **fields)

    @contextmanager
    def _as_sentences(self):
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(
                f"{self.path} could not be read or written: {error}. See that its folder is there "
                "and may be written to, that the disk has room, and that no other program keeps "
                "the file; the votes before this are still there."
            ) from error
        except sqlite3.DatabaseError as error:
            # its subclasses are for faults of our own
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise ValueError(
                f"{self.path} holds no votes, or is damaged: {error}. Choose another name; it is "
                "as it was."
            ) from error


def study_text(study: Study) -> str:
    """A study as JSON."""
    return json.dumps({**study._asdict(), "questions": dict(study.questions)})

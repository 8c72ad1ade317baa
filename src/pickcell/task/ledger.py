"""The inventory ledger: where every item is, written to disk before the item changes place.

SQLite in WAL mode with full synchronisation, so that after a crash each item is in the source tote, in the hand,
delivered, or in "needs a person"; nothing is lost and nothing is counted twice.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

from pickcell.outcome import Code, Outcome

T = TypeVar("T")


class Place(str, Enum):
    SOURCE = "source"
    HAND = "hand"
    ASIDE = "aside"
    """On the aside tray: it was in the way of something else."""
    DESTINATION = "destination"
    NEEDS_PERSON = "needs_person"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    item_id INTEGER PRIMARY KEY, sku TEXT NOT NULL, place TEXT NOT NULL, job_id TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '', updated_unix_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS items_by_place ON items (place, sku);
CREATE TABLE IF NOT EXISTS moves (
    move_id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL, sku TEXT NOT NULL, from_place TEXT NOT NULL,
    to_place TEXT NOT NULL, job_id TEXT NOT NULL, note TEXT NOT NULL, unix_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, sku TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '', updated_unix_s REAL NOT NULL);
"""


class Ledger:
    """The ledger in one SQLite file. Every method is safe to call from several threads.

    A write that cannot reach the disk comes back as LEDGER_UNWRITABLE: the caller must then not move the item.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens or creates the ledger. Raises OSError when the file cannot be opened at all."""
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=2.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"cannot open the inventory ledger {self.path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> Outcome[T]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    value = change(self._db)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
                return Outcome.success(value)
            except sqlite3.Error as error:
                return Outcome.failure(Code.LEDGER_UNWRITABLE, f"{self.path}: {error}.")

    # -- inventory -----------------------------------------------------------------------------------------------

    def set_manifest(self, counts: dict[str, int]) -> Outcome[int]:
        """Declare what the source tote holds now (a new tote has arrived). Items elsewhere stay as they are."""

        def change(db: sqlite3.Connection) -> int:
            now = time.time()
            db.execute("DELETE FROM items WHERE place = ?", (Place.SOURCE.value,))
            rows = [(sku, Place.SOURCE.value, now) for sku, n in sorted(counts.items()) for _ in range(n)]
            db.executemany("INSERT INTO items (sku, place, updated_unix_s) VALUES (?, ?, ?)", rows)
            return len(rows)

        return self._write(change)

    def counts(self, place: Place) -> dict[str, int]:
        """SKU -> number of items in ``place``."""
        with self._lock:
            rows = self._db.execute("SELECT sku, COUNT(*) FROM items WHERE place = ? GROUP BY sku", (place.value,))
            return dict(rows.fetchall())

    def take(self, sku: str, job_id: str) -> Outcome[int]:
        """Book one item of ``sku`` from the source tote into the hand, before the hand lifts. The value is the item's id."""

        def change(db: sqlite3.Connection) -> int:
            row = db.execute(
                "SELECT item_id FROM items WHERE sku = ? AND place = ? ORDER BY item_id LIMIT 1", (sku, Place.SOURCE.value)
            ).fetchone()
            if row is None:
                raise LookupError(sku)
            self._move(db, row[0], Place.HAND, job_id, "")
            return int(row[0])

        try:
            return self._write(change)
        except LookupError:
            return Outcome.failure(Code.ITEM_NOT_IN_MANIFEST, f"SKU '{sku}': none left in the source tote.")

    def move(self, item_id: int, place: Place, job_id: str, note: str = "") -> Outcome[int]:
        """Book an item to ``place``."""

        def change(db: sqlite3.Connection) -> int:
            self._move(db, item_id, place, job_id, note)
            return item_id

        return self._write(change)

    @staticmethod
    def _move(db: sqlite3.Connection, item_id: int, place: Place, job_id: str, note: str) -> None:
        row = db.execute("SELECT sku, place FROM items WHERE item_id = ?", (item_id,)).fetchone()
        if row is None:
            raise ValueError(f"the ledger has no item {item_id}")
        now = time.time()
        db.execute(
            "UPDATE items SET place = ?, job_id = ?, note = ?, updated_unix_s = ? WHERE item_id = ?",
            (place.value, job_id, note, now, item_id),
        )
        db.execute(
            "INSERT INTO moves (item_id, sku, from_place, to_place, job_id, note, unix_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (item_id, row[0], row[1], place.value, job_id, note, now),
        )

    def in_hand(self) -> tuple[int, str] | None:
        """(item id, SKU) of what the ledger believes to be in the hand."""
        with self._lock:
            row = self._db.execute(
                "SELECT item_id, sku FROM items WHERE place = ? ORDER BY updated_unix_s DESC", (Place.HAND.value,)
            ).fetchone()
        return (int(row[0]), str(row[1])) if row else None

    def moves(self, limit: int = 100) -> list[dict[str, object]]:
        """The newest bookings, newest first."""
        with self._lock:
            cursor = self._db.execute("SELECT * FROM moves ORDER BY move_id DESC LIMIT ?", (limit,))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    # -- jobs ----------------------------------------------------------------------------------------------------

    def record_job(self, job_id: str, sku: str, state: str, code: str = "", text: str = "") -> Outcome[str]:
        """Insert or update a job: ``queued``, ``running`` or ``done`` (with its outcome)."""

        def change(db: sqlite3.Connection) -> str:
            db.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET state = excluded.state, "
                "code = excluded.code, text = excluded.text, updated_unix_s = excluded.updated_unix_s",
                (job_id, sku, state, code, text, time.time()),
            )
            return job_id

        return self._write(change)

    def jobs(self, state: str | None = None) -> list[dict[str, object]]:
        """Jobs (of one state), oldest first."""
        query = "SELECT * FROM jobs" + (" WHERE state = ?" if state else "") + " ORDER BY updated_unix_s"
        with self._lock:
            cursor = self._db.execute(query, (state,) if state else ())
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def recover(self) -> Outcome[list[str]]:
        """After a restart: jobs that were running are closed, and items booked into the hand go to "needs a person",
        because nobody watched the hand meanwhile. The value says in sentences what was changed."""

        def change(db: sqlite3.Connection) -> list[str]:
            notes: list[str] = []
            for item_id, sku in db.execute("SELECT item_id, sku FROM items WHERE place = ?", (Place.HAND.value,)).fetchall():
                self._move(db, item_id, Place.NEEDS_PERSON, "", "the cell restarted while this was in the hand")
                notes.append(
                    f"Item {item_id} ({sku}) was in the hand when the cell stopped: a person must look where it is."
                )
            for job_id, sku in db.execute("SELECT job_id, sku FROM jobs WHERE state != 'done'").fetchall():
                db.execute(
                    "UPDATE jobs SET state = 'done', code = ?, text = ?, updated_unix_s = ? WHERE job_id = ?",
                    (Code.CANCELLED.value, "The cell restarted before this job was finished.", time.time(), job_id),
                )
                notes.append(f"Job {job_id} ({sku}) was not finished: ask for it again.")
            return notes

        return self._write(change)

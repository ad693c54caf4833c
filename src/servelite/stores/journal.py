"""An append-only file of ledger rows, written before an answer leaves and moved into the database behind.

One `write` a batch: a line, as `lines` has them. The kernel has it when `write` returns, so a killed
process loses nothing (a power cut may lose the last moments). Each writing process has a file of its own
in the journal's folder and holds a lock on it for as long as it lives; how far each file has been moved
stands in the database, in the transaction that moved it, so any process may move any file at any time and
no row arrives twice.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Kept, Row
from servelite.stores.lines import write_line

ROTATE_BYTES = 16 * 1024 * 1024
"""A file that has grown to this is left for a new one: about 100,000 rows."""

MOST_BYTES = 1024 * 1024 * 1024
"""What may wait for the database; beyond it no call is answered until there is room again."""

READ_BYTES = 256 * 1024
"""What is read of a file at a time, and the rest of a line: about 1,500 rows, which hold a lock for 20 ms."""


class Journal:
    """The file this process appends to."""

    def __init__(self, folder: Path, gateway: str = "") -> None:
        """Begin a file in the folder, which is made; LedgerUnavailable where it can't be."""
        self._folder = folder
        self._name = f"{os.getpid()}-{gateway or secrets.token_hex(8)}"  # no other has it, on other machines neither
        self._files = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise LedgerUnavailable(f"The ledger's journal can't be written in {folder}: {error.strerror}.") from error

    def append(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Keep rows, and answers with them, all or none.

        Raises:
            LedgerUnavailable: the disk is full, the file can't be written, or too much waits for the database.
        """
        try:
            self._write(write_line(rows, kept))
        except OSError as error:
            raise LedgerUnavailable(f"The call could not be metered, so it is not answered: {error.strerror}. Try again later.") from error

    def close(self) -> None:
        """Give up the file; what it holds is still to be moved."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        if os.fstat(self._file).st_nlink == 0:  # somebody deleted it: what is written now would be lost
            self._folder.mkdir(parents=True, exist_ok=True)
            deleted = self._file
            self._open()
            os.close(deleted)
        if self._size >= ROTATE_BYTES:
            self._rotate()
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(0, "the disk is full")
        except OSError:
            os.ftruncate(self._file, self._size)  # a torn line must not run into the next one
            raise
        self._size += written

    def _rotate(self) -> None:
        """Leave the file for a new one, unless too much waits already."""
        waiting = waiting_bytes(self._folder)
        if waiting > MOST_BYTES:
            raise LedgerUnavailable(
                f"The call could not be metered, so it is not answered: {waiting // 2**20:,} MiB wait for the ledger's database, "
                f"which takes nothing at the moment, and {MOST_BYTES // 2**20:,} MiB may. Try again later."
            )
        full = self._file
        with contextlib.suppress(OSError):  # without a new file the old one just grows
            self._open()
            os.close(full)

    def _open(self) -> None:
        """Begin a new file and lock it; one that was taken for abandoned before the lock stood is left for another."""
        while True:
            self._files += 1
            path = self._folder / f"{self._name}-{self._files:06}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                self._file, self._size = file, 0
                return
            os.close(file)


def gateway_of(name: str) -> str:
    """Return the gateway that wrote a file, as far as its name tells."""
    return name.split("-")[1] if name.count("-") == 2 else ""


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal file as the one who moves its rows sees it."""

    path: Path

    @property
    def gateway(self) -> str:
        """The gateway that wrote it, as far as its name tells."""
        return gateway_of(self.path.name)

    def size(self) -> int:
        """Return how long it is; 0 where it is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def lines_from(self, offset: int) -> tuple[list[bytes], int]:
        """Return complete lines after an offset, some if there are many, and where they end."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(offset)
            new = file.read(READ_BYTES) + file.readline()
            complete = new.rfind(b"\n") + 1
            return new[:complete].split(b"\n")[:-1], offset + complete
        return [], offset

    @contextlib.contextmanager
    def abandoned(self) -> Iterator[bool]:
        """Tell, inside the block, whether nobody writes this file any more; it stays so while the block runs."""
        try:
            file = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            yield False
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(file)


def journal_files(folder: Path) -> list[JournalFile]:
    """Return the journal files of a folder, those of other processes and of dead ones among them; each one's in the order of writing."""
    return [JournalFile(path) for path in sorted(folder.glob("*.jsonl"))]


def waiting_bytes(folder: Path) -> int:
    """Return how much stands in the journal files of a folder."""
    return sum(file.size() for file in journal_files(folder))

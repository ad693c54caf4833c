"""What Locust's users count beside its own statistics: a book in each process, that of the workers put together by the master."""

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
from locust import events, stats
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from servelite.assembly.environment import own_key
from servelite.core.errors import ServeliteError
from servelite.core.receipts import read_receipt
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.learning import asker, learn
from servelite.tools.loadtest.questions import Lesson, Reply
from servelite.tools.loadtest.swarm.options import mix_of

WRITE_S = 1.0

MOST_MOMENTS = 600
"""Of a run that ends: more can't be seen in a picture, and would have to be written down."""

EXIT_CODE = 3
REPORTED = "servelite"

logger = logging.getLogger(__name__)


class Counting:
    """The book of this process, and what it has learned of the functions; `weights` are those of the lessons."""

    def __init__(self) -> None:
        self.book = Book()
        self.lessons: list[Lesson] = []
        self.weights: list[float] = []
        self.width_s = 1
        self._begun = time.perf_counter(), _wanted_s()

    def begin(self) -> None:
        """Begin anew."""
        self.book = self._empty({one.function.name: one.function.limits.memory_mib for one in self.lessons})
        self._begun = time.perf_counter(), _wanted_s()

    def count(self, lesson: Lesson, took_s: float, reply: Reply, error: str, words: str) -> None:
        """Count a call that ended now."""
        header = reply.headers.get("servelite-receipt")
        receipt = read_receipt(header) if header else None
        self.book.count(lesson.function.name, time.time(), round(took_s * 1e6), error, words, receipt)

    def note_busy(self, who: str) -> None:
        """Note for how much of the time since it began this process has wanted a core."""
        took_s = time.perf_counter() - self._begun[0]
        self.book.busy[who] = (_wanted_s() - self._begun[1]) / took_s if took_s else 0.0

    def take(self, who: str) -> Book:
        """Return the book to be handed on, and begin an empty one."""
        self.note_busy(who)
        taken, self.book = self.book, self._empty(self.book.memory_mib)
        return taken

    def _empty(self, memory_mib: dict[str, int]) -> Book:
        return Book(memory_mib=memory_mib, width_s=self.width_s)


def _wanted_s() -> float:
    """Return how long this process has used a core, or waited for one that others used, as far as Linux tells."""
    try:
        used_ns, waited_ns, _ = Path("/proc/self/schedstat").read_text(encoding="ascii").split()
    except OSError:
        return time.process_time()
    return (int(used_ns) + int(waited_ns)) / 1e9


COUNTING = Counting()
"""One a process, as Locust's own statistics."""


def listen() -> None:
    """Listen to Locust's events."""
    stats.bucket_response_time = _finely  # type: ignore[assignment]  # any number does, says Locust's manual
    events.init.add_listener(_init)
    events.test_start.add_listener(_start)
    events.reset_stats.add_listener(COUNTING.begin)
    events.report_to_master.add_listener(_report)
    events.worker_report.add_listener(_merge)


def _finely(ms: float) -> float:
    """Round a time to three digits: Locust has whole milliseconds, in which a call of these may come several times."""
    return float(f"{ms:.3g}")


def _init(environment: Environment, **_: Any) -> None:
    file = environment.parsed_options.book if environment.parsed_options else ""
    if file and not isinstance(environment.runner, WorkerRunner):
        gevent.spawn(_write_again, environment, Path(file))
        environment.events.quit.add_listener(lambda **_: _write(environment, Path(file), COUNTING.book))


def _start(environment: Environment, **_: Any) -> None:
    """Learn before the first user starts; who can't learn ends the run."""
    COUNTING.width_s = max(1, round((environment.parsed_options.run_time or 0) / MOST_MOMENTS)) if environment.parsed_options else 1
    if not isinstance(environment.runner, MasterRunner):
        options = environment.parsed_options
        try:
            mix = mix_of(options)
            COUNTING.lessons = learn(asker(environment.host or "", own_key()), mix, options.sizes if options else "examples")
            COUNTING.weights = [mix.get(one.function.name, 1.0) for one in COUNTING.lessons]
        except ServeliteError as error:
            logger.error("%s", error.detail)
            environment.process_exit_code = EXIT_CODE
            COUNTING.lessons = []
            gevent.spawn(_give_up, environment)
    COUNTING.begin()


def _give_up(environment: Environment) -> None:
    """End what would make no calls: the process, or on its page the run; a worker is ended by its master."""
    assert environment.runner is not None
    if environment.parsed_options and environment.parsed_options.headless:
        environment.runner.quit()
    elif not isinstance(environment.runner, WorkerRunner):
        environment.runner.stop()


def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    data[REPORTED] = COUNTING.take(client_id).to_dict()


def _merge(data: dict[str, Any], **_: Any) -> None:
    if REPORTED in data:
        COUNTING.book.add(Book.from_dict(data[REPORTED]))


def _write_again(environment: Environment, file: Path) -> None:
    while True:
        gevent.sleep(WRITE_S)
        _write(environment, file, replace(COUNTING.book, moments={}))  # there may be many, and whoever looks meanwhile wants sums


def _write(environment: Environment, file: Path, book: Book) -> None:
    if not isinstance(environment.runner, MasterRunner):
        COUNTING.note_busy("local")
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(book.to_dict()), encoding="utf-8")
    draft.rename(file)  # at once: it is never read half written

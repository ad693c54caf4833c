"""Figures of `read_review`, a pipeline of real models: beside the same models in a plain loop, and in a server written by hand.

The plain loop answers a page as one would write it down: find its lines, read them in batches, judge the text; the handlers are the
functions' own, in this process, with as many threads as their workers have. What is written by hand does so for all pages that wait at
the moment, their lines in common batches; its clients are threads of this process, so it needs no network.
"""

import base64
import http.client
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from servers import Server, inputs, servelite
from serving import Bench, Bystanders
from table import Figure

from servelite.core.errors import DefinitionError
from servelite.worker.loader import load
from servelite.worker.onnx import intra_op_threads

CLIENTS = 16
THREADS = {"ocr_detect": 2, "ocr_recognise": 2, "sentiment": 1}
"""The pipeline's functions, with the threads that their workers have on two cores."""

LOOKS = 5
"""Calls of each page a round, where one client asks."""

Said = dict[str, Any]
Ask = Callable[[bytes], Said]


class Models:
    """The handlers of the pipeline's functions, loaded into this process."""

    def __init__(self, functions: Path) -> None:
        loaded = []
        for name, threads in THREADS.items():
            intra_op_threads.set(threads)
            loaded.append(load(functions / name))
        self._detect, self._recognise, self._judge = (one.handler.run for one in loaded)
        self._batch = loaded[1].limits.max_batch

    def answer(self, pages: Sequence[bytes]) -> list[Said]:
        """Answer pages, the lines of all of them in common batches, their texts together."""
        found = [self._detect(page) for page in pages]
        lines = [line for of_page in found for line in of_page]
        batches = (lines[start : start + self._batch] for start in range(0, len(lines), self._batch))
        read = iter([text.text.strip() for batch in batches for text in self._recognise(batch)])
        texts = [" ".join(next(read) for _ in of_page) for of_page in found]
        judged = self._judge([SimpleNamespace(text=text) for text in texts])
        return [{"text": text, "sentiment": one.model_dump()} for text, one in zip(texts, judged, strict=True)]


@dataclass
class ByHand:
    """Takes all pages that wait, and answers them together."""

    models: Models
    waiting: "queue.SimpleQueue[tuple[bytes, Future[Said]] | None]" = field(default_factory=queue.SimpleQueue)

    def ask(self, page: bytes) -> Said:
        """Wait for a page's answer."""
        answer: Future[Said] = Future()
        self.waiting.put((page, answer))
        return answer.result()

    def serve(self) -> None:
        """Answer until None comes."""
        while (first := self.waiting.get()) is not None:
            together = [first]
            while not self.waiting.empty() and (another := self.waiting.get()) is not None:
                together.append(another)
            for (_, answer), said in zip(together, self.models.answer([page for page, _ in together]), strict=True):
                answer.set_result(said)


def reading_figures(pipeline: Path, bench: Bench) -> Iterator[Figure]:
    """Measure the pipeline, alone and at 16 clients; nothing, and why, where its models are not made.

    Raises:
        RuntimeError: its answers are not the plain loop's.
    """
    pages = [base64.b64decode(json.loads(page)) for page in inputs(pipeline)]
    try:
        models = Models(pipeline.parent)
    except DefinitionError as error:
        print(f"  not measured: {error}", file=sys.stderr)
        return
    by_hand = ByHand(models)
    with servelite(pipeline, bench.work, first=pages[0]) as server:
        others = Bystanders([server])
        yield from _alone(server, models, pages, bench)
        serving = threading.Thread(target=by_hand.serve)
        serving.start()
        try:
            yield from _together(server, by_hand, pages, bench)
        finally:
            by_hand.waiting.put(None)
            serving.join()
        yield others.figure()


def _alone(server: Server, models: Models, pages: Sequence[bytes], bench: Bench) -> Iterator[Figure]:
    plain = [models.answer([page])[0] for page in pages]
    with closing(_connection(server)) as connection:
        for page, expected in zip(pages, plain, strict=True):
            if (said := _ask(connection, server, page)) != _rounded(expected):
                raise RuntimeError(f"{server.path} answers {said}, and the plain loop {expected}.")
        took = bench.alternate(
            {
                "served": lambda: _time_ms(lambda page: _ask(connection, server, page), pages),
                "plain": lambda: _time_ms(lambda page: models.answer([page])[0], pages),
            }
        )
    ratios = [one / other for one, other in zip(took["served"], took["plain"], strict=True)]
    yield Figure("read_review / its models in a plain loop, 1 client", median(ratios), "times", 1.15, samples=ratios)
    yield Figure.of("  a page, served", took["served"], "ms")
    yield Figure.of("  a page, in the plain loop", took["plain"], "ms")


def _together(server: Server, by_hand: ByHand, pages: Sequence[bytes], bench: Bench) -> Iterator[Figure]:
    def served() -> float:
        def client(number: int, until_s: float) -> int:
            with closing(_connection(server)) as connection:
                return _ask_on(lambda page: _ask(connection, server, page), pages, number, until_s)

        return _per_s(client, bench.seconds)

    rates = bench.alternate({"served": served, "by hand": lambda: _per_s(lambda *said: _ask_on(by_hand.ask, pages, *said), bench.seconds)})
    ratios = [one / other for one, other in zip(rates["served"], rates["by hand"], strict=True)]
    yield Figure("read_review / written by hand, 16 clients", median(ratios), "times", 0.9, at_least=True, samples=ratios)
    yield Figure.of("  pages a second, served", rates["served"], "pages/s")
    yield Figure.of("  pages a second, by hand", rates["by hand"], "pages/s")


def _connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)


def _ask(connection: http.client.HTTPConnection, server: Server, page: bytes) -> Said:
    connection.request("POST", server.path, page, {"Content-Type": "image/png"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{server.path} answered {response.status}: {content[:300]!r}")
    said: Said = json.loads(content)
    return said


def _rounded(said: Said) -> Said:
    return dict(json.loads(json.dumps(said)))


def _time_ms(ask: Ask, pages: Sequence[bytes]) -> float:
    """Return what a page takes, on the average of all pages, some times over."""
    began_s = time.perf_counter()
    for page in list(pages) * LOOKS:
        ask(page)
    return (time.perf_counter() - began_s) * 1000 / len(pages) / LOOKS


def _ask_on(ask: Ask, pages: Sequence[bytes], first: int, until_s: float) -> int:
    """Ask for page after page, and return how many were answered in time."""
    answered = 0
    while time.monotonic() < until_s:
        ask(pages[(first + answered) % len(pages)])
        answered += 1
    return answered


def _per_s(client: Callable[[int, float], int], seconds: float) -> float:
    """Return how many pages some clients have answered a second, together."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answered = sum(clients.map(client, range(CLIENTS), [began_s + seconds] * CLIENTS))
    return answered / (time.monotonic() - began_s)

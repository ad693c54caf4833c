"""Mosec: its Rust front, and Python workers that take batches."""

import sys
from typing import Any

from mosec import Server, ValidationError, Worker
from pydantic import ValidationError as Invalid
from work import PORT, Model, number, read, write


class Work(Worker):
    """Reads, runs and writes in one stage: a stage of its own for reading costs more than it saves on two cores."""

    def __init__(self) -> None:
        super().__init__()
        self._model = Model()

    def deserialize(self, data: bytes) -> Any:
        try:
            return read(data)
        except Invalid as error:
            raise ValidationError(str(error)) from error

    def serialize(self, data: Any) -> bytes:
        return write(data)

    def forward(self, data: Any) -> Any:
        return self._model(data) if number("BATCH", 1) > 1 else self._model([data])[0]


if __name__ == "__main__":
    sys.argv += ["--port", str(PORT), "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    server.append_worker(
        Work, num=number("PROCESSES", 1), max_batch_size=number("BATCH", 1), max_wait_time=number("WAIT_MS", 10), route="/work"
    )
    server.run()

"""A cold start as on AWS Lambda, in a process of its own: `python -m servelite.tools.planning.cold_start FOLDER` tells its time and memory.

All of a pipeline's stages are loaded into the one process there, behind the same door that `servelite package` ships.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from servelite.runtime.memory import peak_kib
from servelite.runtime.resources import process_age_us
from servelite.worker.description import read_examples

RUN_MS = 900_000
"""The most that Lambda lets an event take."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """What Lambda says of an event, as far as it is asked."""

    aws_request_id: str
    ends_s: float

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        return int((self.ends_s - time.monotonic()) * 1000)


def main(folder: Path) -> None:
    """Load the function, answer its examples, and print `{"init_us": …, "peak_kib": …}`; the first answer belongs to the start."""
    report = os.dup(1)
    os.dup2(2, 1)  # what is logged and printed meanwhile is no report
    from servelite.adapters.aws_lambda import handler

    init_us = 0
    for number, example in enumerate(read_examples(folder)):
        handler(example["input"], Invoked(f"{number:032x}", time.monotonic() + RUN_MS / 1000))
        init_us = init_us or process_age_us()
    os.write(report, json.dumps({"init_us": init_us, "peak_kib": peak_kib(os.getpid())}).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

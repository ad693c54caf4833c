"""Says which run of the handler answered, and how long that run took: what batches are seen by."""

import itertools
import os
import time

from pydantic import BaseModel

from servelite import InvalidInput, function

runs = itertools.count(1)


class Tagged(BaseModel):
    payload: str
    run: int
    run_us: int


@function(max_batch=64)
def tag(payloads: list[str]) -> list[Tagged | InvalidInput]:
    begun_ns, run = time.perf_counter_ns(), next(runs)
    if any(payload.startswith("poison") for payload in payloads):
        raise RuntimeError("poisoned")
    if any(payload.startswith("deadly") for payload in payloads):
        os._exit(9)
    while time.perf_counter_ns() < begun_ns + 2_000_000:
        pass
    run_us = (time.perf_counter_ns() - begun_ns) // 1000
    return [
        InvalidInput("refused by the handler") if payload.startswith("refused") else Tagged(payload=payload, run=run, run_us=run_us)
        for payload in payloads
    ]

"""Calls tiny so many times, in so many threads, and says how many microseconds a call took, the median: what a handler's call costs."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from pydantic import BaseModel, Field

from servelite import Context, function


class Order(BaseModel):
    """What is to be called, and how often."""

    calls: int = Field(ge=1, le=100_000)
    threads: int = Field(default=1, ge=1, le=64)
    features: list[float]


@function(timeout_s=60)
def caller(order: Order, context: Context) -> float:
    """Call tiny again and again."""
    given = {"features": order.features}

    def call_once(_: int) -> float:
        began_s = time.perf_counter()
        context.call("tiny", given)
        return (time.perf_counter() - began_s) * 1e6

    with ThreadPoolExecutor(order.threads) as threads:
        return median(threads.map(call_once, range(order.calls)) if order.threads > 1 else map(call_once, range(order.calls)))

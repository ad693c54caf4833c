"""The limit: a loop around onnxruntime in one process, without any server; for each number of clients a batch of so many rows.

`python alone.py BATCH SECONDS FILE` prints one line of JSON, as wrk's script does; FILE holds the body of one request.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from work import number, open_model


def main(batch: int, seconds: float, file: Path) -> None:
    """Run batches of one request's features for some seconds, and say how it went."""
    session = open_model(number("THREADS", 1))
    rows = np.array([json.loads(file.read_bytes())["features"]] * batch, dtype=np.float32)
    took_ns, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds:
        before = time.perf_counter_ns()
        session.run(None, {"features": rows})
        took_ns.append(time.perf_counter_ns() - before)
    duration_us = round((time.perf_counter() - began) * 1e6)
    p50_us, p99_us = (round(one / 1000) for one in np.percentile(took_ns, [50, 99]))
    print(json.dumps({"requests": batch * len(took_ns), "duration_us": duration_us, "failed": 0, "p50_us": p50_us, "p99_us": p99_us}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))

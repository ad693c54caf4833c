"""Time events at the AWS Lambda door, in turn with the model's run alone: `warm.py FUNCTION ROUNDS EVENTS` prints medians of rounds, µs."""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

folder, rounds, events = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
os.environ["SERVELITE_FUNCTIONS"] = str(folder)
example = json.loads((folder / "examples.jsonl").read_text(encoding="utf-8").partition("\n")[0])["input"]

from servelite.adapters.aws_lambda import handler  # noqa: E402  it loads the functions of its surroundings

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
row = {"features": np.array([example["features"]], dtype=np.float32)}


class Context:
    """What Lambda tells of an invocation."""

    client_context = None

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def http_event(body: str) -> dict[str, Any]:
    """Return an event of a Function URL."""
    path = f"/functions/{folder.name}"
    headers = {"content-type": "application/json", "host": "example.lambda-url.eu-central-1.on.aws", "user-agent": "figures"}
    http = {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "figures"}
    context = {"accountId": "anonymous", "apiId": "example", "http": http, "requestId": "1", "stage": "$default", "routeKey": "$default"}
    said = {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers}
    return {**said, "requestContext": context, "body": body, "isBase64Encoded": False}


def run() -> Any:
    return session.run(None, row)


def direct() -> Any:
    return handler(example, Context())


def http() -> Any:
    return handler(http_event(body), Context())


def time_us(call: Callable[[], Any]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(events):
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    return median(times) / 1000


def check() -> None:
    """See that both ways give what the model does."""
    expected = [round(float(one), 4) for one in np.asarray(run()[0])[0]]
    for output in (direct(), json.loads(http()["body"])):
        if [round(one, 4) for one in output["probabilities"]] != expected:
            raise SystemExit(f"The door answers {output}, and the model {expected}.")


body = json.dumps(example)
kinds: dict[str, Callable[[], Any]] = {"run": run, "direct": direct, "http": http}
check()
took = [{name: time_us(call) for name, call in kinds.items()} for _ in range(rounds + 1)][1:]
check()
print(json.dumps({name: [one[name] for one in took] for name in kinds}))

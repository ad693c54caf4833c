"""Run inside a package: `examples.py TREE NAME FILE` answers a function's examples through the Lambda door, and writes a report."""

import json
import sys
import time
from pathlib import Path
from typing import Any

RUN_MS = 900_000


class Context:
    """What Lambda tells a handler of its call."""

    function_name = "proof"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:proof"
    memory_limit_in_mb = 10_240
    log_group_name = log_stream_name = "proof"
    client_context = identity = None

    def __init__(self, number: int) -> None:
        self.aws_request_id = f"00000000-0000-4000-8000-{number:012}"
        self._ends_s = time.monotonic() + RUN_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_s - time.monotonic()) * 1000)


def http_event(path: str) -> dict[str, Any]:
    """Return what a Function URL sends for a GET."""
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "proof"}
    context = {
        "http": http,
        "stage": "$default",
        "requestId": "proof",
        "domainName": "proof.lambda-url.eu-central-1.on.aws",
        "timeEpoch": 0,
    }
    headers = {"host": context["domainName"]}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }


def answer(handler: Any, event: Any, number: int) -> dict[str, Any]:
    """Return what a call comes to: {"output": …}, or {"error": …}."""
    try:
        return {"output": handler(event, Context(number))}
    except Exception as error:  # the function's own, whatever it is: it is told
        return {"error": f"{type(error).__name__}: {error}"}


def main(tree: Path, name: str, report: Path) -> None:
    """Answer all examples, then one HTTP request; say which files of the package were imported for it."""
    sys.path.insert(0, str(tree))
    from servelite.adapters.aws_lambda import handler

    lines = (tree / "functions" / name / "examples.jsonl").read_text(encoding="utf-8").split("\n")
    examples = [json.loads(line) for line in lines if line.strip()]
    answers = [answer(handler, example["input"], number) for number, example in enumerate(examples)]
    page = answer(handler, http_event(f"/functions/{name}"), len(examples))
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    used = sorted(str(Path(file).relative_to(tree)) for file in files if file.startswith(f"{tree}/"))
    report.write_text(json.dumps({"answers": answers, "page": page, "used": used}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

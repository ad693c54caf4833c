"""A real `servelite run` in a process of its own, and a client that speaks to it over a socket."""

import http.client
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

READY_WITHIN_S = 30


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def receipt(self) -> dict[str, int | bool]:
        """The Servelite-Receipt header's values."""
        pairs = (item.split("=") for item in self.headers["Servelite-Receipt"].split(", "))
        return {name: value == "?1" if value.startswith("?") else int(value) for name, value in pairs}


class Server:
    """Started at once; `wait_ready` returns when it answers."""

    def __init__(self, *arguments: str | Path, cwd: Path) -> None:
        command = [sys.executable, "-m", "servelite", "run", *map(str, arguments), "--port", "0"]
        self.cwd = cwd
        self._errors = (cwd / "server-errors.txt").open("w+")
        self.process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=self._errors, text=True)

    def wait_ready(self) -> Self:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://[^:]+:(\d+)", line)
        assert found, f"the server did not start: {line!r} {self.errors()}"
        self.port = int(found[1])
        return self

    def errors(self) -> str:
        """Return what the server has written to stderr."""
        return (self.cwd / "server-errors.txt").read_text()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_WITHIN_S)

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def call(self, function: str, value: Any) -> Reply:
        """POST a value as JSON."""
        return self.post(function, json.dumps(value).encode())

    def post(self, function: str, body: bytes, media_type: str = "application/json") -> Reply:
        return self.request("POST", f"/functions/{function}", body, {"Content-Type": media_type})

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=READY_WITHIN_S)

    def kill(self) -> None:
        """End it, however it is."""
        self.process.kill()
        self.process.communicate()
        self._errors.close()

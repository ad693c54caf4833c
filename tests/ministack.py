"""A local stand-in for AWS for tests, and tables on its DynamoDB."""

import contextlib
import http.client
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import boto3

from tests.aws.parts import ministack
from tests.server import free_port, until

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "not-to-be-seen", "AWS_DEFAULT_REGION": "eu-central-1"}


class Ministack:
    """The stand-in, on a free port of this machine; all it has is gone when it is stopped."""

    def __init__(self) -> None:
        self._command = [str(ministack())]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        self._folder = tempfile.TemporaryDirectory(prefix="servelite-aws-")
        own = {"HOME": self._folder.name, "TMPDIR": self._folder.name}  # which go with it
        where = {**os.environ, **own, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": f"{self.port}", "LOG_LEVEL": "WARNING"}
        self._log = Path(self._folder.name, "log.txt")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder.name, env=where, stdout=log, stderr=log)
        until(self._answers)
        return self

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()

    def client(self, service: str) -> Any:
        """Return a client of boto3's."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-central-1"}
        return boto3.session.Session(**keys).client(service, endpoint_url=self.url)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        return False


@contextlib.contextmanager
def running() -> Iterator[Ministack]:
    """Run it for a block; the test is skipped where it is not installed."""
    stack = Ministack().start()
    try:
        yield stack
    finally:
        stack.stop()


def new_table() -> str:
    """Return a name that no other table has."""
    return f"ledger-{secrets.token_hex(6)}"

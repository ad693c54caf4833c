"""What an image holds, run as its Dockerfile says: AWS' runtime client under AWS' emulator, with nothing else to be seen."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servelite.tools.packaging.making import make
from servelite.tools.packaging.plan import find_contents, make_plan
from servelite.tools.packaging.target import HANDLER, here
from tests.aws.parts import emulator
from tests.server import free_port, until

pytestmark = pytest.mark.aws

SENTIMENT = Path(__file__).parents[2] / "functions" / "sentiment"
PATH = "/2015-03-31/functions/function/invocations"


@contextmanager
def image_running(root: Path) -> Iterator[str]:
    """Run what an image would, and yield where it is invoked."""
    port, inner = free_port(), free_port()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{inner}"]
    client = [sys.executable, "-sSP", "-m", "awslambdaric", HANDLER]
    surroundings = {"LAMBDA_TASK_ROOT": str(root), "PYTHONPATH": str(root), "PATH": os.environ["PATH"], "SERVELITE_FUNCTION": "sentiment"}
    process = subprocess.Popen([str(emulator()), *addresses, *client], cwd=root, env=surroundings, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}{PATH}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_image_answers_by_the_runtime_client_that_it_brings(tmp_path):
    emulator()
    plan = make_plan(asyncio.run(find_contents([SENTIMENT])), here(), tmp_path / "build", is_image=True, is_checked=False)
    make(plan, lambda _: None)
    with image_running(plan.product / "root") as url, urllib.request.urlopen(url, b'{"text": "A wonderful film."}', timeout=60) as answer:
        assert json.load(answer)["label"] == "positive"

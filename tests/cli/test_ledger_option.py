"""`--ledger` with a URL: what can't be read or reached is told, and a password in it never."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.command import servelite
from tests.cli.conftest import FUNCTIONS

SECRET = "s3cret"

NOWHERE = f"postgresql://ada:{SECRET}@127.0.0.1:1/books"
UNREADABLE = f"postgresql://ada:{SECRET}@127.0.0.1:port/books"

COMMANDS = {"usage": ["usage"], "run": ["run", FUNCTIONS / "double", "--port", "0"], "call": ["call", FUNCTIONS / "double", "1"]}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        pytest.param(UNREADABLE, 2, "servelite: The port in the ledger's URL is no number", id="a port that is no number"),
        pytest.param(NOWHERE, 1, "servelite: The ledger postgresql://ada@127.0.0.1:1/books can't be used: ", id="no server there"),
    ],
)
def test_a_server_that_can_not_be_used_is_told_without_its_password(tmp_path: Path, name: str, url: str, code: int, told: str) -> None:
    done = servelite("--debug", *COMMANDS[name], "--ledger", url, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1].startswith(told)
    assert SECRET not in done.stdout + done.stderr


def test_an_empty_ledger_is_named_without_its_password(tmp_path: Path, postgres: str) -> None:
    password = urlsplit(postgres).password or "none"
    done = servelite("usage", "--ledger", postgres, cwd=tmp_path)
    assert done.stdout.startswith("No calls in the ledger postgresql://")
    assert password not in done.stdout + done.stderr

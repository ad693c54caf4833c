"""Locust's command line, and what is said where it fails."""

import asyncio
import sys
from pathlib import Path

import pytest

from servelite.core.errors import ServiceError
from servelite.tools.loadtest.running import OPEN_USERS, Run, command, load
from tests.server import free_port

BOOK = Path("/somewhere/book.json")


def options(run: Run) -> dict[str, str]:
    said = command(run, "http://127.0.0.1:1", BOOK)
    assert said[:3] == [sys.executable, "-m", "locust"]
    return {name: value for name, value in zip(said, [*said[1:], ""], strict=True) if name.startswith("-")}


def test_users_wait_for_their_answers() -> None:
    said = options(Run(30, users=7, spawn_rate=2.5, shape="ramp", sizes="long-tail", mix=(("a", 2.0), ("b", 0.5))))
    told = [said[name] for name in ("--users", "--spawn-rate", "--run-time", "--shape", "--rate", "--sizes", "--mix", "--book")]
    assert told == ["7", "2.5", "30s", "ramp", "0", "long-tail", "a=2,b=0.5", str(BOOK)]
    assert "--processes" not in said
    assert Path(said["-f"]).is_file()


def test_a_rate_is_shared_by_users_who_do_not_wait() -> None:
    said = options(Run(30, rps=90, processes=3))
    assert int(said["--users"]) == OPEN_USERS * 3
    assert float(said["--rate"]) * int(said["--users"]) == pytest.approx(90)


def test_several_processes_meet_on_this_machine_only() -> None:
    said = options(Run(30, processes=2))
    assert (said["--processes"], said["--master-bind-host"], said["--master-host"]) == ("2", "127.0.0.1", "127.0.0.1")
    assert said["--master-bind-port"] == said["--master-port"] != "5557"


@pytest.mark.slow
def test_what_locust_can_not_do_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"Locust ended with 3\. Its last words: .*No server answers there"):
        asyncio.run(load(Run(1), f"http://127.0.0.1:{free_port()}", tmp_path, lambda _line, _book: None))

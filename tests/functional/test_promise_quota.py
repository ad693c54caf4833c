"""The promise of quotas: what an account may use it can use up, and beyond it goes one call at most, however many ask at once."""

import threading
from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.functional.ledger import read_rows, usage
from tests.functional.promises import Measured, StartServer
from tests.server import Reply, Server, until

CLIENTS = 64
FREE_S = 2
TIMEOUT_S = 0.5

WORKING = f"""
    import time

    from servelite import function

    @function(timeout_s={TIMEOUT_S}, max_batch={{batch}}, max_workers=2)
    def work(inputs: {{kind}}) -> {{kind}}:
        time.sleep(0.01)
        return inputs
"""

SETTINGS = f"""
    [tariff]
    free_s = {FREE_S}

    [accounts.local]
    credit_micro = 0
"""


def settle_for(tmp_path: Path, text: str = SETTINGS) -> None:
    (tmp_path / "servelite.toml").write_text("\n".join(line.strip() for line in text.splitlines()), encoding="utf-8")


class Client(threading.Thread):
    """Calls until the quota is used up; what is only held back is asked for again."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.replies: list[Reply] = []
        self._server = server
        self.start()

    def run(self) -> None:
        while True:
            reply = self._server.call("work", 1)
            self.replies.append(reply)
            if reply.status != 200 and "Retry-After" not in reply.headers:
                return


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "kind"), [(1, "int"), (16, "list[int]")], ids=["one by one", "in batches"])
def test_many_clients_use_up_a_quota_and_go_beyond_it_by_one_call_at_most(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path, measured: Measured, batch: int, kind: str
) -> None:
    settle_for(tmp_path)
    server = start_server(write_function("work", WORKING.format(batch=batch, kind=kind)))
    clients = [Client(server) for _ in range(CLIENTS)]
    for client in clients:
        client.join()
    replies = [reply for client in clients for reply in client.replies]
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status != 200]
    assert {reply.json()["code"] for reply in refused} == {"quota_exhausted"}
    used_us = sum(reply.receipt["billed-us"] for reply in answered)
    dearest_us = max(reply.receipt["billed-us"] for reply in answered)
    measured("used of a quota of 2 s", f"{used_us / 1e6:.6f} s", asked="2 s, and one call more at most")
    assert FREE_S * 10**6 <= used_us < FREE_S * 10**6 + dearest_us
    assert min(reply.receipt["free-left-us"] for reply in answered) == 0
    assert server.stop() == 0
    assert sum(row["billed_us"] for row in read_rows(tmp_path).values()) == used_us

    again = start_server(tmp_path / "functions" / "work")
    told = again.call("work", 1)
    assert (told.status, told.json()["code"]) == (402, "quota_exhausted")
    assert f"has used {used_us / 1e6:.3f} seconds this month; its quota is 2 seconds free. It renews on " in told.json()["detail"]


def test_a_receipt_says_what_is_left_and_the_ledger_agrees(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    settle_for(tmp_path)
    server = start_server(write_function("work", WORKING.format(batch=1, kind="int")))
    replies = [server.call("work", number) for number in range(3)]
    used_us = sum(reply.receipt["billed-us"] for reply in replies)
    assert replies[-1].receipt["free-left-us"] == FREE_S * 10**6 - used_us
    (account,) = usage(tmp_path)["accounts"]
    assert account["free_left_us"] == FREE_S * 10**6 - used_us


def test_two_servers_share_an_accounts_quota(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    settle_for(tmp_path)
    folder = write_function("work", WORKING.format(batch=1, kind="int"))
    first, second = start_server(folder), start_server(folder)
    used_us = sum(first.call("work", number).receipt["billed-us"] for number in range(3))

    def left_us() -> int:
        nonlocal used_us
        receipt = second.call("work", 1).receipt
        used_us += receipt["billed-us"]
        return int(receipt["free-left-us"])

    until(lambda: left_us() == FREE_S * 10**6 - used_us)


def test_a_rate_is_kept_and_told(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    settle_for(tmp_path, '[accounts."*"]\ncalls_per_s = 0.01')
    server = start_server(write_function("work", WORKING.format(batch=1, kind="int")))
    assert server.call("work", 1).status == 200
    refused = server.call("work", 1)
    assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
    assert 1 < int(refused.headers["Retry-After"]) <= 100
    assert "Servelite-Receipt" not in refused.headers


def test_settings_that_can_not_be_are_told_before_anything_is_served(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    settle_for(tmp_path, "[tariff]\nfree = 1")
    with pytest.raises(AssertionError, match=r"servelite\.toml: \[tariff\] there is no field 'free'\. Did you mean 'free_s'\?"):
        start_server(functions / "double")

"""API keys on a running server: what each may, that a revoked one is worth nothing at once, and what is written down."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.adapters.problem import check_problem
from tests.cli.command import servelite
from tests.functional.ledger import read_rows, wait_for_rows
from tests.keys import bearer, make_key
from tests.server import Reply, Server, read_reply, until

FUNCTIONS = Path(__file__).parent / "functions"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve three functions to those who show a key."""
    folders = [FUNCTIONS / name for name in ("double", "shout", "flip")]
    started = Server(*folders, "--require-key", cwd=tmp_path_factory.mktemp("locked"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


@pytest.fixture(scope="module")
def make(server: Server) -> Callable[..., dict[str, str]]:
    """Return a maker of keys that the server knows, as the headers that show them."""

    def make(*arguments: Any, **options: Any) -> dict[str, str]:
        headers = bearer(make_key(server.cwd, *arguments, **options))
        until(lambda: ask(server, "GET", "/functions", headers).status == 200)
        return headers

    return make


@pytest.fixture(scope="module")
def plain(make: Callable[..., dict[str, str]]) -> dict[str, str]:
    return make("acme", ("double", "fl*"))


@pytest.fixture(scope="module")
def admin(make: Callable[..., dict[str, str]]) -> dict[str, str]:
    return make("ops", is_admin=True)


def ask(server: Server, method: str, path: str, headers: dict[str, str]) -> Reply:
    return server.request(method, path, b"4" if method == "POST" else None, headers)


def call(server: Server, headers: dict[str, str], function: str = "double") -> Reply:
    return ask(server, "POST", f"/functions/{function}", headers)


def created(folder: Path, *options: str) -> str:
    """Run `servelite keys create`, and return the key."""
    done = servelite("keys", "create", "--account", "acme", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def listed(folder: Path) -> dict[str, Any]:
    """Return what `servelite keys list` says, by id."""
    return {one["id"]: one for one in json.loads(servelite("keys", "list", "--json", cwd=folder).stdout)}


def id_of(key: str) -> str:
    return key.split("_")[1]


# the life of a key


def test_a_key_works_once_it_is_made_and_not_once_it_is_revoked(server: Server) -> None:
    key = created(server.cwd, "--name", "ci", "--functions", "double", "--expires", "90d")
    assert call(server, bearer(key)).body == b"8"
    assert servelite("keys", "revoke", id_of(key), cwd=server.cwd).returncode == 0
    check_problem(call(server, bearer(key)), 401, "unauthorized")


def test_a_key_opens_until_it_expires(server: Server, make: Callable[..., dict[str, str]]) -> None:
    headers = make("acme", expires_us=time.time_ns() // 1000 + 3_000_000)
    assert call(server, headers).status == 200
    until(lambda: call(server, headers).status == 401)


def test_an_open_connection_does_not_outlive_its_key(server: Server) -> None:
    key = created(server.cwd)
    connection = server.connect()
    for status in (200, 401):
        connection.request("POST", "/functions/double", b"4", bearer(key))
        response = connection.getresponse()
        response.read()
        assert response.status == status
        servelite("keys", "revoke", id_of(key), cwd=server.cwd)
    connection.close()


def test_when_a_key_was_last_used_is_listed(server: Server, make: Callable[..., dict[str, str]]) -> None:
    before_us = time.time_ns() // 1000
    headers = make("acme")
    key_id = id_of(headers["Authorization"])
    until(lambda: (listed(server.cwd)[key_id]["last_used_us"] or 0) >= before_us)
    assert listed(server.cwd)[key_id]["last_used_us"] <= time.time_ns() // 1000


def test_a_key_that_was_never_used_is_listed_as_such(server: Server) -> None:
    key = make_key(server.cwd)
    call(server, bearer(key + "x"))
    assert listed(server.cwd)[id_of(key)]["last_used_us"] is None


def test_two_servers_on_one_ledger_know_the_same_keys(server: Server) -> None:
    other = Server(FUNCTIONS / "double", "--require-key", cwd=server.cwd)
    try:
        other.wait_ready()
        key = created(server.cwd)
        assert [call(one, bearer(key)).status for one in (server, other)] == [200, 200]
        servelite("keys", "revoke", id_of(key), cwd=server.cwd)
        assert [call(one, bearer(key)).status for one in (server, other)] == [401, 401]
    finally:
        other.kill()


def test_a_server_without_a_valid_key_says_how_to_make_one(start_server: Callable[..., Server], tmp_path: Path) -> None:
    make_key(tmp_path, expires_us=1)
    server = start_server(FUNCTIONS / "double", "--require-key")
    (told,) = [json.loads(line)["message"] for line in server.troubles()]
    assert told == "no key is valid yet, so nobody is answered. Make one: servelite keys create --account NAME"
    assert server.get("/livez").status == 200
    check_problem(server.get("/functions"), 401, "unauthorized")


def test_a_server_with_a_valid_key_has_nothing_to_say(start_server: Callable[..., Server], tmp_path: Path) -> None:
    key = make_key(tmp_path)
    server = start_server(FUNCTIONS / "double", "--require-key")
    assert server.troubles() == []
    assert call(server, bearer(key)).status == 200  # known from the start


def test_without_require_key_whatever_key_is_shown_is_not_looked_at(start_server: Callable[..., Server], tmp_path: Path) -> None:
    key = make_key(tmp_path)
    server = start_server(FUNCTIONS / "double")
    for headers in ({}, bearer(key), bearer("nonsense")):
        assert call(server, headers).status == 200
        assert ask(server, "GET", "/metrics", headers).status == 200
    rows = wait_for_rows(tmp_path, 3)
    assert {(row["account"], row["key_id"]) for row in rows.values()} == {("local", "")}


# what a key may


def test_a_call_is_its_key_s_account_s(server: Server, plain: dict[str, str]) -> None:
    reply = call(server, plain)
    rows = until(lambda: [row for id_, row in wait_for_rows(server.cwd, 1).items() if id_ == reply.headers["X-Request-Id"]])
    assert (rows[0]["account"], rows[0]["key_id"]) == ("acme", id_of(plain["Authorization"]))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_key_is_not_for_is_forbidden_whether_it_exists_or_not(server: Server, plain: dict[str, str], method: str) -> None:
    details = set()
    for name in ("shout", "nothing"):
        problem = check_problem(ask(server, method, f"/functions/{name}", plain), 403, "forbidden")
        details.add(problem["detail"].replace(name, "NAME"))
    assert details == {"This key may not call 'NAME'. It may call: double, fl*. Use another key."}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_key_would_be_for_is_told_to_be_missing_with_no_other_names(server: Server, plain: dict[str, str], method: str) -> None:
    problem = check_problem(ask(server, method, "/functions/flute", plain), 404, "function_not_found")
    assert problem["detail"] == "No function named 'flute'. Functions here: double, flip."


def test_a_forbidden_call_is_refused_before_its_body_comes(server: Server, plain: dict[str, str]) -> None:
    with server.socket() as connection:
        head = f"Host: localhost\r\nAuthorization: {plain['Authorization']}\r\nContent-Length: 1000\r\nExpect: 100-continue"
        connection.sendall(f"POST /functions/shout HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert read_reply(connection).status == 403


def test_a_key_sees_what_it_may_call(server: Server, plain: dict[str, str], admin: dict[str, str]) -> None:
    for headers, names in ((plain, ["double", "flip"]), (admin, ["double", "flip", "shout"])):
        assert [one["name"] for one in ask(server, "GET", "/functions", headers).json()["functions"]] == names
        document = ask(server, "GET", "/openapi.json", headers).json()
        assert sorted(document["paths"]) == [f"/functions/{name}" for name in names]
        assert "shout" in json.dumps(document) or headers is plain


def test_the_openapi_document_says_that_a_key_is_wanted(server: Server, admin: dict[str, str]) -> None:
    document = ask(server, "GET", "/openapi.json", admin).json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_the_metrics_are_for_admin_keys(server: Server, plain: dict[str, str], admin: dict[str, str]) -> None:
    assert b"servelite_calls_total" in ask(server, "GET", "/metrics", admin).body
    problem = check_problem(ask(server, "GET", "/metrics", plain), 403, "forbidden")
    assert "servelite keys create --admin" in problem["detail"]


# whose usage a key reads


@pytest.fixture(scope="module")
def used(server: Server, make: Callable[..., dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the keys of two accounts that have made calls."""
    keys = {"bert": make("bert"), "cleo": make("cleo")}
    for name, calls in (("bert", ["double", "shout"]), ("cleo", ["double"])):
        replies = [call(server, keys[name], function) for function in calls]
        assert all(reply.status == 200 for reply in replies)
        until(lambda ids={reply.headers["X-Request-Id"] for reply in replies}: ids <= read_rows(server.cwd).keys())
    return keys


def read_usage(server: Server, headers: dict[str, str], query: str = "") -> Any:
    reply = ask(server, "GET", f"/usage{query}", headers)
    assert reply.status == 200, reply.body
    return reply.json()


def test_a_plain_key_reads_its_own_account_s_usage(server: Server, used: dict[str, dict[str, str]]) -> None:
    said = read_usage(server, used["bert"])
    assert {(one["function"], one["calls"]) for one in said["usage"]} == {("double", 1), ("shout", 1)}
    assert [one["account"] for one in said["accounts"]] == ["bert"]
    assert [one["account"] for one in read_usage(server, used["bert"], "?by=account")["usage"]] == ["bert"]
    assert read_usage(server, used["bert"], "?account=bert") == said
    assert [one["key"] for one in read_usage(server, used["bert"], "?by=key")["usage"]] == [id_of(used["bert"]["Authorization"])]


@pytest.mark.parametrize("account", ["cleo", "nobody", "local", "", "%00"])
def test_a_plain_key_does_not_read_another_account_s_usage(server: Server, used: dict[str, dict[str, str]], account: str) -> None:
    problem = check_problem(ask(server, "GET", f"/usage?account={account}", used["bert"]), 403, "forbidden")
    assert "its own account, bert" in problem["detail"]


def test_an_admin_key_reads_everybody_s_usage(server: Server, used: dict[str, dict[str, str]], admin: dict[str, str]) -> None:
    everybody = {one["account"]: one["calls"] for one in read_usage(server, admin, "?by=account")["usage"]}
    assert (everybody["bert"], everybody["cleo"]) == (2, 1)
    assert read_usage(server, admin, "?account=bert") == read_usage(server, used["bert"])


def test_usage_over_http_is_what_the_command_says(server: Server, used: dict[str, dict[str, str]], admin: dict[str, str]) -> None:
    for by in ("function", "account", "key", "day", "stage"):
        said = json.loads(servelite("usage", "--by", by, "--json", cwd=server.cwd).stdout)
        assert read_usage(server, admin, f"?by={by}&month={said['month']}") == said


def test_torture_shows_its_key(server: Server, plain: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = "torture", "double", "--url", server.url, "--only", "malformed", "--input=-1"
    monkeypatch.setenv("SERVELITE_KEY", plain["Authorization"].removeprefix("Bearer "))
    done = servelite(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 0 failed" in done.stdout
    monkeypatch.delenv("SERVELITE_KEY")
    done = servelite(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "The key is missing" in done.stderr

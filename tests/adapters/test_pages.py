"""What people, tools and monitors read."""

from typing import Any

import jsonschema
import pytest

from tests.adapters.conftest import FUNCTIONS
from tests.server import Server

SERVED = sorted({folder.name for folder in FUNCTIONS.iterdir()} | {"sentiment"})
LIMITS = {"max_batch", "timeout_s", "memory_mib", "max_workers", "idle_s"}


def test_the_list_names_every_function_with_its_limits(server: Server) -> None:
    listed = server.get("/functions").json()["functions"]
    assert [one["name"] for one in listed] == SERVED
    assert all(one["limits"].keys() == LIMITS for one in listed)
    (sentiment,) = [one for one in listed if one["name"] == "sentiment"]
    assert sentiment["summary"] == "Is an English review positive or negative?"
    assert (sentiment["limits"]["max_batch"], sentiment["limits"]["timeout_s"], sentiment["limits"]["memory_mib"]) == (64, 2, 512)


@pytest.mark.parametrize("name", SERVED)
def test_a_description_has_all_that_a_caller_needs(server: Server, name: str) -> None:
    described = server.get(f"/functions/{name}").json()
    assert described["name"] == name
    assert described["limits"].keys() == LIMITS
    assert described["takes"]
    assert described["gives"]
    for schema in (described["input_schema"], described["output_schema"]):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", SERVED)
def test_the_examples_fit_the_described_schema(server: Server, name: str) -> None:
    described: dict[str, Any] = server.get(f"/functions/{name}").json()
    for example in described["examples"]:
        jsonschema.validate(example["input"], described["input_schema"], jsonschema.Draft202012Validator)
        if "output" in example:
            jsonschema.validate(example["output"], described["output_schema"], jsonschema.Draft202012Validator)


def test_the_card_is_described(server: Server) -> None:
    assert server.get("/functions/sentiment").json()["card"]
    assert server.get("/functions/double").json()["card"] == {}


@pytest.mark.parametrize("path", ["/functions", "/functions/double", "/openapi.json", "/livez", "/readyz", "/usage"])
def test_a_page_for_programs_is_json(server: Server, path: str) -> None:
    reply = server.get(path)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert isinstance(reply.json(), dict)


@pytest.mark.parametrize("path", ["/", "/functions", "/livez", "/readyz", "/metrics", "/usage"])
def test_head_answers_as_get_without_a_body(server: Server, path: str) -> None:
    reply = server.request("HEAD", path)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Type"] == server.get(path).headers["Content-Type"]


def test_the_playground_is_a_page_that_runs_only_its_own_scripts(server: Server) -> None:
    reply = server.get("/")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>" in reply.body
    directives = dict(directive.strip().split(" ", 1) for directive in reply.headers["Content-Security-Policy"].split(";"))
    assert directives["default-src"] in ("'self'", "'none'")
    allowed = {source for sources in directives.values() for source in sources.split()}
    assert not allowed & {"*", "http:", "https:", "'unsafe-eval'"}


def test_the_playground_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/").body
    assert b'src="http' not in page
    assert b'href="//' not in page
    assert b"@import" not in page


def test_it_is_alive_and_ready(server: Server) -> None:
    assert server.get("/livez").json() == {"status": "alive"}
    assert server.get("/readyz").json() == {"status": "ready", "unready": {}}

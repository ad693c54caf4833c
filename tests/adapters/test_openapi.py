"""`GET /openapi.json`: valid OpenAPI 3.1, whole, and true to what the server does."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.adapters.conftest import FUNCTIONS
from tests.conftest import FolderWriter
from tests.server import Server

SERVED = {folder.name for folder in FUNCTIONS.iterdir()} | {"sentiment"}


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    return dict(server.get("/openapi.json").json())


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


def resolve(document: Any, reference: str) -> Any:
    """Return what a local reference names; KeyError if nothing."""
    root, *steps = reference.split("/")
    assert root == "#", reference
    for step in steps:
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_served_function_is_in_it(document: dict[str, Any]) -> None:
    assert document["paths"].keys() == {f"/functions/{name}" for name in SERVED}
    assert {item["post"]["operationId"] for item in document["paths"].values()} == SERVED
    assert document["paths"]["/functions/double"]["post"]["summary"] == "Doubles a whole number."


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    references = [part["$ref"] for part in parts(document) if isinstance(part.get("$ref"), str)]
    assert len(references) > 10
    for reference in references:
        assert isinstance(resolve(document, reference), dict)


def test_every_discriminator_s_mapping_resolves(document: dict[str, Any]) -> None:
    mappings = [part["discriminator"]["mapping"] for part in parts(document) if isinstance(part.get("discriminator"), dict)]
    assert mappings
    for reference in (value for mapping in mappings for value in mapping.values()):
        assert isinstance(resolve(document, reference), dict)


def test_no_schema_is_left_where_nothing_finds_it(document: dict[str, Any]) -> None:
    assert not [part for part in parts(document) if "$defs" in part]


@pytest.mark.parametrize("name", sorted(SERVED))
def test_the_examples_fit_the_input_schema(document: dict[str, Any], server: Server, name: str) -> None:
    described = server.get(f"/functions/{name}").json()
    content = document["paths"][f"/functions/{name}"]["post"]["requestBody"]["content"]
    assert set(content) == set(described["takes"])
    shown = [example["value"] for media in content.values() for example in media.get("examples", {}).values()]
    if "application/octet-stream" not in content:
        assert len(shown) == len(described["examples"]) * len(content)
    for media in content.values():
        for example in media.get("examples", {}).values():
            validator(document, media["schema"]).validate(example["value"])


@pytest.mark.parametrize("name", ["double", "order", "sentiment"])
def test_real_answers_fit_the_output_schema(document: dict[str, Any], server: Server, name: str) -> None:
    content = document["paths"][f"/functions/{name}"]["post"]["responses"]["200"]["content"]
    for example in server.get(f"/functions/{name}").json()["examples"]:
        reply = server.call(name, example["input"])
        validator(document, content[reply.headers["Content-Type"]]["schema"]).validate(reply.json())


@pytest.mark.parametrize(
    ("name", "wrong"), [("double", "x"), ("order", {"lines": []}), ("order", {"lines": [{}]}), ("sentiment", {"text": ""})], ids=str
)
def test_what_the_schema_refuses_the_server_refuses(document: dict[str, Any], server: Server, name: str, wrong: Any) -> None:
    schema = document["paths"][f"/functions/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert not validator(document, schema).is_valid(wrong)
    assert server.call(name, wrong).status == 422


@pytest.mark.parametrize(
    ("function", "body", "status"),
    [("double", b'"x"', 422), ("double", b"{", 400), ("nothing", b"1", 404), ("misbehave", b'"fail"', 500), ("misbehave", b'"abort"', 502)],
    ids=str,
)
def test_real_refusals_fit_the_documented_problem(
    document: dict[str, Any], server: Server, function: str, body: bytes, status: int
) -> None:
    reply = server.post(function, body)
    assert reply.status == status
    response = document["paths"]["/functions/double"]["post"]["responses"][str(status)]
    schema = response["content"][reply.headers["Content-Type"]]["schema"]
    validator(document, schema).validate(reply.json())
    assert reply.json()["code"] in re.split(r"\W+", response["description"])


def test_the_headers_of_an_answer_are_documented(document: dict[str, Any], server: Server) -> None:
    documented = document["paths"]["/functions/double"]["post"]["responses"]["200"]["headers"]
    reply = server.call("double", 1)
    assert all(name in reply.headers for name in documented)
    assert {"X-Request-Id", "Servelite-Receipt", "Server-Timing"} <= documented.keys()


def test_a_field_may_be_named_like_a_keyword(write_function: FolderWriter, start_server: Any) -> None:
    source = """
        from pydantic import BaseModel, Field
        from servelite import function

        class Pointer(BaseModel):
            target: str = Field(alias="$ref")
            definitions: dict[str, int] = Field(default={}, alias="$defs")

        @function
        def follow(pointer: Pointer) -> str:
            return pointer.target
    """
    server = start_server(write_function("follow", source))
    assert server.call("follow", {"$ref": "there"}).body == b"there"
    reply = server.get("/openapi.json")
    assert reply.status == 200
    OpenAPIV31SpecValidator(json.loads(reply.body)).validate()

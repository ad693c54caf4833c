"""An OpenAPI 3.1 document of the functions that are served."""

from collections.abc import Sequence
from typing import Any

from servelite.core.errors import ServeliteError, all_errors
from servelite.core.function import Description
from servelite.core.version import VERSION

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened, the value, the rule and the cure"},
        "code": {"type": "string", "enum": sorted({kind.code for kind in all_errors() if kind.code != "definition_error"})},
        "request_id": {"type": "string"},
        "stage": {"type": "string", "description": "where in a pipeline it happened"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "message", "rule")},
            },
        },
    },
}

HEADERS = {
    "X-Request-Id": {"schema": {"type": "string"}, "description": "the call's id, in the ledger too"},
    "Servelite-Receipt": {"schema": {"type": "string"}, "description": "RFC 9651 dictionary; times in whole µs"},
    "Server-Timing": {"schema": {"type": "string"}, "description": "queue, init and compute, ms"},
}

KEY = {"type": "http", "scheme": "bearer", "description": "a key that `servelite keys create` made"}


def openapi(functions: Sequence[Description], *, with_keys: bool = False) -> dict[str, Any]:
    """Describe functions, a path each; types that a schema defines move to the document's components."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    components: dict[str, Any] = {"schemas": schemas, "securitySchemes": {"key": KEY}} if with_keys else {"schemas": schemas}
    return {
        "openapi": "3.1.0",
        "info": {"title": "servelite", "version": VERSION, "description": "Models as metered functions."},
        "paths": {f"/functions/{one.name}": {"post": _operation(one, schemas)} for one in functions},
        "components": components,
        **({"security": [{"key": []}]} if with_keys else {}),
    }


def _operation(function: Description, schemas: dict[str, Any]) -> dict[str, Any]:
    input_schema = _moved(function.input_schema, f"{function.name}_", schemas)
    output_schema = _moved(function.output_schema, f"{function.name}_output_", schemas)
    content: dict[str, Any] = {"schema": input_schema}
    if function.examples and not function.takes[0].endswith("octet-stream"):
        content["examples"] = {f"example_{n}": {"value": one["input"]} for n, one in enumerate(function.examples, start=1)}
    return {
        "operationId": function.name,
        "summary": function.summary,
        "requestBody": {"required": True, "content": dict.fromkeys(function.takes, content)},
        "responses": {
            "200": {"description": "the output", "headers": HEADERS, "content": {function.gives: {"schema": output_schema}}},
            **{str(status): _problem_response(status) for status in _statuses()},
        },
    }


def _moved(schema: dict[str, Any], prefix: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose `$defs` stand in `schemas`, under names with a prefix, and whose references follow."""
    for name, definition in schema.get("$defs", {}).items():
        schemas[prefix + name] = _followed(definition, prefix)
    moved: dict[str, Any] = _followed({key: part for key, part in schema.items() if key != "$defs"}, prefix)
    return moved


def _followed(part: Any, prefix: str) -> Any:
    """Return a schema, or a part of one, with every reference into `$defs` pointed at the document's components.

    References are the texts that begin with `#/$defs/`, wherever they stand: a `$ref`, a discriminator's mapping.
    """
    if isinstance(part, dict):
        return {key: _followed(value, prefix) for key, value in part.items()}
    if isinstance(part, list):
        return [_followed(item, prefix) for item in part]
    is_reference = isinstance(part, str) and part.startswith("#/$defs/")
    return f"#/components/schemas/{prefix}{part.removeprefix('#/$defs/')}" if is_reference else part


def _statuses() -> list[int]:
    return sorted({kind.status for kind in all_errors(ServeliteError) if kind.code not in ("definition_error", "not_found")})


def _problem_response(status: int) -> dict[str, Any]:
    codes = sorted({kind.code for kind in all_errors() if kind.status == status and kind.code != "definition_error"})
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": " or ".join(codes), "content": content}

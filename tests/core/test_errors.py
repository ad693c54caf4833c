import inspect
import re

import pytest

from servelite.core import errors
from servelite.core.errors import (
    CallerError,
    Cancelled,
    DefinitionError,
    FunctionError,
    FunctionFailed,
    InvalidInput,
    ServeliteError,
    ServiceError,
    all_errors,
    from_wire,
    wire_code,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ServeliteError)]
CODED = list(all_errors())


class TooManyWords(InvalidInput):
    """An author's own error."""


class EvenMoreWords(TooManyWords):
    """An author's own error, further down."""


def drawn_tree() -> dict[str, tuple[str, str | None, str | None]]:
    """Return the docstring's drawing: parent, status and code (None where not drawn) by class."""
    found, parents = {}, {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│ ├└─]*)(\w+Error|[A-Z]\w+)(?: +(\d{3}) +(\w+))?", line):
            lead, name, status, code = match.groups()
            depth = len(lead) // 4
            parents[depth] = name
            found[name] = (parents.get(depth - 1, "Exception"), status, code)
    return found


def test_the_tree_in_the_docstring_names_every_class_below_its_parent():
    assert {name: parent for name, (parent, _, _) in drawn_tree().items()} == {kind.__name__: kind.__base__.__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_has_the_real_status_and_code(kind):
    _, status, code = drawn_tree()[kind.__name__]
    assert (status, code) in [(str(kind.status), kind.code), (None, None)]


def test_only_branches_and_the_definition_error_are_drawn_without_a_status():
    undrawn = {name for name, (_, status, _) in drawn_tree().items() if status is None}
    assert undrawn == {"ServeliteError", "CallerError", "FunctionError", "DefinitionError"}


def test_no_two_errors_share_a_code_but_the_root_and_function_failed():
    codes = [kind.code for kind in CODED if kind is not ServeliteError]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_client_is_billed_only_for_what_used_compute(kind):
    free = (CallerError, ServiceError, DefinitionError)
    assert kind.billed is (not issubclass(kind, free) or kind is Cancelled)


@pytest.mark.parametrize("kind", CODED, ids=lambda kind: kind.__name__)
def test_a_caller_error_is_4xx_and_every_other_5xx(kind):
    assert (400 <= kind.status < 500) is issubclass(kind, CallerError)
    assert 400 <= kind.status < 600


@pytest.mark.parametrize("kind", [kind for kind in CODED if kind is not ServeliteError], ids=lambda kind: kind.__name__)
def test_an_error_crosses_processes_with_its_class_detail_and_fields(kind):
    field = {"field": "a.b[2]", "message": "too long", "rule": "max_length"}
    sent = kind("It is so.", [field])
    received = from_wire(wire_code(sent), sent.detail, sent.errors)
    assert (type(received), received.detail, received.errors) == (kind, "It is so.", (field,))


@pytest.mark.parametrize("kind", [TooManyWords, EvenMoreWords])
def test_an_authors_subclass_keeps_its_parents_code(kind):
    assert wire_code(kind("Too many words.")) == "invalid_input"
    assert type(from_wire(wire_code(kind("Too many words.")), "Too many words.")) is InvalidInput


def test_an_authors_subclass_is_not_part_of_the_tree():
    assert TooManyWords not in CODED


@pytest.mark.parametrize("code", ["", "no_such_code", "Invalid_Input"])
def test_an_unknown_code_becomes_function_failed(code):
    assert type(from_wire(code, "What?")) is FunctionFailed


def test_a_bare_servelite_error_crosses_as_a_billed_function_error():
    received = from_wire(wire_code(ServeliteError("Out of ink.")), "Out of ink.")
    assert isinstance(received, FunctionError)
    assert (received.status, received.billed, str(received)) == (500, True, "Out of ink.")

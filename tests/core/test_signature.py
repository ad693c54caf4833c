# ruff: noqa: F821  annotations that can't be read, and async handlers, are what is tested here
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from servelite.core.errors import DefinitionError, InvalidInput
from servelite.core.function import Context, Limits
from servelite.core.signature import read_signature

ONE = Limits()
MANY = Limits(max_batch=8)


def single(text: str) -> int: ...
def batched(texts: list[str]) -> list[int]: ...
def with_context(text: str, context: Context) -> int: ...
def with_contexts(texts: list[str], contexts: list[Context]) -> list[int]: ...
def annotated(number: Annotated[float, "metres"]) -> Any: ...
def postponed(text: "str") -> "int": ...
def may_fail(texts: list[str]) -> list[int | InvalidInput]: ...
def may_fail_in_two_ways(texts: list[str]) -> list[int | str | InvalidInput | ValueError]: ...
def whole_lists(numbers: list[float]) -> list[float]: ...
def with_defaults(text: str, *, polite: bool = True) -> int: ...


@pytest.mark.parametrize(
    ("handler", "limits", "input_type", "output_type", "wants_context"),
    [
        (single, ONE, str, int, False),
        (batched, MANY, str, int, False),
        (with_context, ONE, str, int, True),
        (with_contexts, MANY, str, int, True),
        (annotated, ONE, Annotated[float, "metres"], Any, False),
        (postponed, ONE, str, int, False),
        (may_fail, MANY, str, int, False),
        (may_fail_in_two_ways, MANY, str, int | str, False),
        (whole_lists, ONE, list[float], list[float], False),
        (with_defaults, ONE, str, int, False),
    ],
)
def test_a_handlers_annotations_are_the_types_of_one_call(handler, limits, input_type, output_type, wants_context):
    found = read_signature(handler, limits)
    assert (found.input_type, found.output_type, found.wants_context) == (input_type, output_type, wants_context)
    assert found.batched is (limits is MANY)


def no_parameter() -> int: ...
def three_parameters(a: str, b: Context, c: int) -> int: ...
def only_keywords(*, text: str) -> int: ...
def only_star(*texts: str) -> int: ...
def untyped(text) -> int: ...
def no_return(text: str): ...
def unknown_name(text: "Nowhere") -> int: ...
def untyped_context(text: str, context) -> int: ...
def wrong_context(text: str, context: str) -> int: ...
def bare_list(texts: list) -> list[int]: ...
async def coroutine(text: str) -> int: ...
def generator(text: str) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("handler", "limits", "said"),
    [
        (no_parameter, ONE, r"no_parameter has 0 parameters \(none\)"),
        (three_parameters, ONE, r"three_parameters has 3 parameters \(a, b, c\)"),
        (only_keywords, ONE, "only_keywords has 0 parameters"),
        (only_star, ONE, "only_star has 0 parameters"),
        (untyped, ONE, "Parameter 'text' of untyped has no type. Annotate it, for example text: str"),
        (no_return, ONE, "no_return has no return type. Annotate it"),
        (unknown_name, ONE, "'Nowhere' is not defined. Import or define it"),
        (untyped_context, ONE, "second parameter of untyped_context, 'context', can only be annotated Context"),
        (wrong_context, ONE, "can only be annotated Context"),
        (with_contexts, ONE, "can only be annotated Context"),
        (with_context, MANY, "with max_batch above 1 it takes and returns a list: list.str."),
        (single, MANY, r"single takes text: str, but with max_batch above 1 .* list\[str\]"),
        (bare_list, MANY, "bare_list takes texts: list, but"),
        (coroutine, ONE, "coroutine is async or a generator.* write a plain def"),
        (generator, ONE, "generator is async or a generator"),
    ],
)
def test_a_handler_that_can_not_be_served_is_refused_with_the_cure(handler, limits, said):
    with pytest.raises(DefinitionError, match=said):
        read_signature(handler, limits)


def test_a_batched_handler_takes_a_list_of_contexts():
    def one_context(texts: list[str], context: Context) -> list[int]: ...

    with pytest.raises(DefinitionError, match=r"can only be annotated list\[Context\], one for each call"):
        read_signature(one_context, MANY)


def test_an_async_generator_is_refused():
    async def chunks(text: str) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(DefinitionError, match="async or a generator"):
        read_signature(chunks, ONE)


def test_a_keyword_without_default_is_refused():
    def needs_more(text: str, *, polite: bool) -> int: ...

    with pytest.raises(DefinitionError, match="polite"):
        read_signature(needs_more, ONE)

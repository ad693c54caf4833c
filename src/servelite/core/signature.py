"""What a handler's annotations say: its input and output types, whether it takes batches and a context."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from servelite.core.errors import DefinitionError
from servelite.core.function import Context, Limits


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of one call: of an item, where the handler takes lists of them."""

    input_type: Any
    output_type: Any
    batched: bool
    wants_context: bool


def read_signature(handler: Callable[..., Any], limits: Limits) -> Signature:
    """Read a handler's annotations.

    Raises:
        DefinitionError: there is not one typed parameter (and an optional Context), no return type, or
            `max_batch` above 1 without lists.
    """
    name = getattr(handler, "__name__", "the handler")
    if any(kind(handler) for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)):
        raise DefinitionError(f"{name} is async or a generator. A worker runs one batch at a time, so write a plain def.")
    first, second = _parameters(name, handler)
    hints = _hints(name, handler)
    if first not in hints:
        raise DefinitionError(f"Parameter '{first}' of {name} has no type. Annotate it, for example {first}: str.")
    if "return" not in hints:
        raise DefinitionError(f"{name} has no return type. Annotate it, for example def {name}({first}: …) -> str.")
    batched = limits.max_batch > 1
    return Signature(
        input_type=_item(hints[first], f"takes {first}", name) if batched else hints[first],
        output_type=_answers(_item(hints["return"], "returns", name) if batched else hints["return"]),
        batched=batched,
        wants_context=_wants_context(name, second, hints, batched=batched),
    )


def _parameters(name: str, handler: Callable[..., Any]) -> tuple[str, str | None]:
    parameters = inspect.signature(handler).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not 1 <= len(named) <= 2:
        listed = ", ".join(p.name for p in named) or "none"
        raise DefinitionError(f"{name} has {len(named)} parameters ({listed}). A handler has one, and an optional Context.")
    for keyword in (p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty):
        raise DefinitionError(f"Nobody passes {name} the keyword '{keyword}'. Give it a default, or remove it.")
    return named[0].name, named[1].name if len(named) == 2 else None


def _hints(name: str, handler: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise DefinitionError(f"An annotation of {name} can't be read: {error}. Import or define it in handler.py.") from error


def _item(annotation: Any, verb: str, name: str) -> Any:
    if get_origin(annotation) is not list or len(get_args(annotation)) != 1:
        said = getattr(annotation, "__name__", str(annotation))
        raise DefinitionError(f"{name} {verb}: {said}, but with max_batch above 1 it takes and returns a list: list[{said}].")
    return get_args(annotation)[0]


def _answers(annotation: Any) -> Any:
    """Drop exception classes from a union: they say that an item may fail, not what an answer looks like."""
    kept = [arm for arm in get_args(annotation) if not (isinstance(arm, type) and issubclass(arm, BaseException))]
    is_union = get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"
    if not is_union or not kept or len(kept) == len(get_args(annotation)):
        return annotation
    return Union[tuple(kept)]  # noqa: UP007  the arms are known at run time only


def _wants_context(name: str, second: str | None, hints: dict[str, Any], *, batched: bool) -> bool:
    if second is None:
        return False
    wanted: Any = list[Context] if batched else Context
    if hints.get(second) != wanted:
        rule = "list[Context], one for each call of the batch" if batched else "Context"
        raise DefinitionError(f"The second parameter of {name}, '{second}', can only be annotated {rule}.")
    return True

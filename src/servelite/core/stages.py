"""What a pipeline is written with.

    sequence(a, b, c)       each stage's output is the next one's input
    parallel(x=a, y=b)      the same input to each stage; a dict by name comes out
    each(a)                 a stage over the items of a list, in order
    route(choose, x=a, y=b) the stage that the chooser names
    stage(a, retry=…)       a stage with its time limit, its retries, and what stands in where it fails
    value(…)                always the same output

A stage is a function by name, a plain typed function of the same file (glue), or another of these.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from servelite.core.errors import DefinitionError, all_errors
from servelite.core.function import NAME
from servelite.core.pipeline import EACH_AT_ONCE, RETRIED, Each, FunctionStage, Glue, Node, Parallel, Retry, Route, Sequence, Value

MOST_RETRIES = 10
MOST_BACKOFF_S = 60.0
MOST_PARALLEL = 1000

Stage: TypeAlias = str | Callable[..., Any] | Node
"""What people write where a stage is wanted."""


def sequence(*stages: Stage) -> Sequence:
    """Run stages one after the other, each on the output of the one before.

    Raises:
        DefinitionError: there is none, or one is no stage.
    """
    if not stages:
        raise DefinitionError("sequence() has no stages. Name some: sequence('langid', 'sentiment').")
    return Sequence(tuple(_node(stage, "sequence") for stage in stages))


def parallel(**branches: Stage) -> Parallel:
    """Run stages side by side on the same input; the outputs come out as a dict by name."""
    return Parallel(_branches(branches, "parallel"))


def each(one: Stage, *, max_parallel: int = EACH_AT_ONCE) -> Each:
    """Run a stage on each item of a list, so many at the same time; the outputs come out in the items' order."""
    if isinstance(max_parallel, bool) or not isinstance(max_parallel, int) or not 1 <= max_parallel <= MOST_PARALLEL:
        raise DefinitionError(f"each(max_parallel={max_parallel!r}): it is a whole number from 1 to {MOST_PARALLEL:,}.")
    return Each(_node(one, "each"), max_parallel)


def route(chooser: Callable[..., Any], /, **branches: Stage) -> Route:
    """Run the stage whose name the chooser returns: a typed function of the same file, annotated `-> Literal["…", "…"]`."""
    chosen = _node(chooser, "route")
    if not isinstance(chosen, Glue):
        raise DefinitionError(
            f"route() begins with the function that chooses, not {_shown(chooser)}. Write a typed def, returning a Literal."
        )
    return Route(chosen, _branches(branches, "route"))


def stage(one: Stage, *, retry: Retry | None = None, timeout_s: float | None = None, fallback: Stage | None = None) -> Node:
    """Give a stage retries, a time limit in seconds, or a fallback: another stage, or `value(…)`, that stands in where it fails."""
    if timeout_s is not None and not _is_number(timeout_s, 0, 1e9):
        raise DefinitionError(f"stage(timeout_s={timeout_s!r}): it is a number of seconds above 0.")
    if retry is not None and not isinstance(retry, Retry):
        raise DefinitionError(f"stage(retry={retry!r}): write retry(times), for example retry=retry(2).")
    other = None if fallback is None else _node(fallback, "fallback")
    node = _node(one, "stage")
    return replace(node, retry=retry or node.retry, timeout_s=timeout_s or node.timeout_s, fallback=other or node.fallback)


def retry(times: int, *, on: str | tuple[str, ...] = RETRIED, backoff_s: float = 0.1) -> Retry:
    """Say how often a stage is tried again, after which error codes, and after how many seconds, doubled each time."""
    codes = (on,) if isinstance(on, str) else tuple(on)
    known = {error.code for error in all_errors()}
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= MOST_RETRIES:
        raise DefinitionError(f"retry({times!r}): it is a whole number from 1 to {MOST_RETRIES}.")
    for code in codes:
        if code not in known:
            raise DefinitionError(f"retry(on={code!r}): there is no such error code. Often used: {', '.join(RETRIED)}.")
    if backoff_s != 0 and not _is_number(backoff_s, 0, MOST_BACKOFF_S):
        raise DefinitionError(f"retry(backoff_s={backoff_s!r}): it is a number of seconds from 0 to {MOST_BACKOFF_S:g}.")
    return Retry(times, codes, float(backoff_s))


def value(output: Any) -> Value:
    """Return always this output: what JSON can say."""
    try:
        return Value(json.loads(json.dumps(output, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise DefinitionError(f"value({output!r}): {error}. A value is what JSON can say.") from error


def _branches(branches: Mapping[str, Stage], where: str) -> tuple[tuple[str, Node], ...]:
    if not branches:
        raise DefinitionError(f"{where}() has no branches. Name some: {where}({'choose, ' * (where == 'route')}a='langid', b='sentiment').")
    return tuple((name, _node(one, where)) for name, one in branches.items())


def _node(one: Stage, where: str) -> Node:
    if isinstance(one, Node):
        return one
    if isinstance(one, str):
        if not NAME.fullmatch(one):
            raise DefinitionError(f"{where}() names the function {one!r}, which can't be the name of one.")
        return FunctionStage(one)
    name = getattr(one, "__name__", "")
    if not callable(one) or isinstance(one, type):
        raise DefinitionError(
            f"{where}() has {_shown(one)}, which is no stage. A stage is a function's name or a def; wrap data in value(…)."
        )
    if not name.isidentifier() or "<locals>" in getattr(one, "__qualname__", "<locals>"):
        raise DefinitionError(
            f"{where}() has {_shown(one)}, which has no name at the file's top. Write a def there, so that it can be drawn and found."
        )
    return Glue(name)


def _shown(one: Any) -> str:
    return getattr(one, "__name__", None) or repr(one)[:60]


def _is_number(number: Any, above: float, most: float) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and above < number <= most

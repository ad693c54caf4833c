"""A pipeline: a function made of functions, as data that can be drawn, compared, checked and compiled; `stages` makes it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

EACH_AT_ONCE = 64
"""Items of a list that are under way at the same time by default: a full batch of most functions."""

RETRIED = ("worker_died", "no_worker", "overloaded", "timed_out")
"""Errors after which the same input may well be answered."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed stage is tried again: `times` more, after `backoff_s`, doubled each time; only after the error codes `on`."""

    times: int
    on: tuple[str, ...] = RETRIED
    backoff_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Node:
    """What all parts of a pipeline have: the limits of a stage.

    retry      None means that a failure is final
    timeout_s  seconds that the stage may take, waiting among them; None means what its caller allows
    fallback   what is run instead where it failed, with the same input
    """

    retry: Retry | None = field(default=None, kw_only=True)
    timeout_s: float | None = field(default=None, kw_only=True)
    fallback: "Node | None" = field(default=None, kw_only=True)

    kind: ClassVar[str]

    def children(self) -> Iterator[tuple[str, "Node"]]:
        """Yield the parts that it is made of, with what its kind calls them, its fallback last."""
        if self.fallback is not None:
            yield "fallback", self.fallback

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, from which `from_dict` makes it again; what is as by default is left out."""
        plain = self._plain()
        if self.retry is not None:
            plain["retry"] = {"times": self.retry.times, "on": list(self.retry.on), "backoff_s": self.retry.backoff_s}
        if self.timeout_s is not None:
            plain["timeout_s"] = self.timeout_s
        if self.fallback is not None:
            plain["fallback"] = self.fallback.to_dict()
        return plain

    def _plain(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FunctionStage(Node):
    """A function, by name."""

    name: str

    kind = "call"

    def _plain(self) -> dict[str, Any]:
        return {"call": self.name}


@dataclass(frozen=True, slots=True)
class Glue(Node):
    """A plain typed function of the pipeline's own file; it runs in the pipeline's worker."""

    name: str

    kind = "glue"

    def _plain(self) -> dict[str, Any]:
        return {"glue": self.name}


@dataclass(frozen=True, slots=True)
class Value(Node):
    """The same output for whatever input."""

    output: Any

    kind = "value"

    def _plain(self) -> dict[str, Any]:
        return {"value": self.output}


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """Stages one after the other."""

    stages: tuple[Node, ...]

    kind = "sequence"

    def _plain(self) -> dict[str, Any]:
        return {"sequence": [stage.to_dict() for stage in self.stages]}

    def children(self) -> Iterator[tuple[str, Node]]:
        yield from ((str(number), stage) for number, stage in enumerate(self.stages))
        yield from Node.children(self)


@dataclass(frozen=True, slots=True)
class Parallel(Node):
    """Stages side by side, by name."""

    branches: tuple[tuple[str, Node], ...]

    kind = "parallel"

    def _plain(self) -> dict[str, Any]:
        return {"parallel": {name: branch.to_dict() for name, branch in self.branches}}

    def children(self) -> Iterator[tuple[str, Node]]:
        yield from self.branches
        yield from Node.children(self)


@dataclass(frozen=True, slots=True)
class Each(Node):
    """A stage for each item of a list."""

    stage: Node
    max_parallel: int = EACH_AT_ONCE

    kind = "each"

    def _plain(self) -> dict[str, Any]:
        return {"each": self.stage.to_dict(), "max_parallel": self.max_parallel}

    def children(self) -> Iterator[tuple[str, Node]]:
        yield "item", self.stage
        yield from Node.children(self)


@dataclass(frozen=True, slots=True)
class Route(Node):
    """The stage that a chooser, a piece of glue, names."""

    chooser: Glue
    branches: tuple[tuple[str, Node], ...]

    kind = "route"

    def _plain(self) -> dict[str, Any]:
        return {"route": {name: branch.to_dict() for name, branch in self.branches}, "by": self.chooser.to_dict()}

    def children(self) -> Iterator[tuple[str, Node]]:
        yield "chooser", self.chooser
        yield from self.branches
        yield from Node.children(self)


def from_dict(plain: Mapping[str, Any]) -> Node:
    """Make a pipeline again from its plain form, perhaps in another process."""
    kind = next(kind for kind in _MADE if kind in plain)
    retried = plain.get("retry")
    fallback = plain.get("fallback")
    return replace(
        _MADE[kind](plain),
        retry=Retry(retried["times"], tuple(retried["on"]), retried["backoff_s"]) if retried else None,
        timeout_s=plain.get("timeout_s"),
        fallback=from_dict(fallback) if fallback else None,
    )


def _made(branches: Mapping[str, Any]) -> tuple[tuple[str, Node], ...]:
    return tuple((name, from_dict(branch)) for name, branch in branches.items())


_MADE: dict[str, Callable[[Mapping[str, Any]], Node]] = {
    "call": lambda plain: FunctionStage(plain["call"]),
    "glue": lambda plain: Glue(plain["glue"]),
    "value": lambda plain: Value(plain["value"]),
    "sequence": lambda plain: Sequence(tuple(map(from_dict, plain["sequence"]))),
    "parallel": lambda plain: Parallel(_made(plain["parallel"])),
    "each": lambda plain: Each(from_dict(plain["each"]), plain["max_parallel"]),
    "route": lambda plain: Route(Glue(plain["by"]["glue"]), _made(plain["route"])),
}


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all that it is made of, from the outside inwards."""
    yield node
    for _, child in node.children():
        yield from walk(child)


def functions_of(node: Node) -> list[str]:
    """Return the names of the functions that it calls, each once, in order."""
    return list(dict.fromkeys(one.name for one in walk(node) if isinstance(one, FunctionStage)))

"""A pipeline's outline: its steps as people want to see them, each with its kind, its limits, and what it takes and gives in short."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from servelite.core.contracts import Resolver
from servelite.core.errors import DefinitionError
from servelite.core.function import Contract, Description
from servelite.core.notation import alternatives, fields, given, literal, taken
from servelite.core.pipeline import RETRIED, Each, FunctionStage, Glue, Node, Parallel, Retry, Route, Sequence, Value, from_dict

UNKNOWN = "?"
"""What is not known, for a function is missing."""

KINDS = {"route": "glue that chooses", "missing": "not available", "parallel": "", "each": "", "sequence": ""}
"""What a kind is called, if not by its name."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage, or several that belong together.

    kind      function, pipeline, glue, value, missing; sequence, parallel, each, route
    title     its name; that of a route is its chooser's, that of a value is what it gives
    notes     its limits, in words
    gives     without what its fallback gives
    inner     what it is made of: the branches with their names, all else with none
    fallback  what is run where it fails
    fits      whether it takes what comes before it gives
    """

    kind: str
    title: str
    notes: tuple[str, ...] = ()
    takes: str = UNKNOWN
    gives: str = UNKNOWN
    inner: "tuple[tuple[str, Step], ...]" = ()
    fallback: "Step | None" = None
    fits: bool = True

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is said of it beside its title: its kind, where the title does not say it, and its limits."""
        return tuple(filter(None, [KINDS.get(self.kind, self.kind), *self.notes]))

    @property
    def result(self) -> str:
        """What comes out of it, be it from its fallback."""
        return alternatives([self.gives, self.fallback.result]) if self.fallback else self.gives


def outline(name: str, known: Mapping[str, Description], *, is_deep: bool = False) -> Step:
    """Outline a pipeline, or a function as the only step of itself; `is_deep` shows the steps of the pipelines in it too.

    known  what may be known of the functions here, by name; one that is not among them is outlined as missing
    """
    pipeline = known[name].pipeline
    own = known[name].glue
    return _Outliner(name, own, known, (name,), is_deep).step(from_dict(pipeline) if pipeline else FunctionStage(name))


@dataclass(frozen=True, slots=True)
class _Outliner:
    """Outlines one pipeline; `above` are the pipelines that it is shown in, itself the last."""

    pipeline: str
    glue: Mapping[str, Contract]
    known: Mapping[str, Description]
    above: tuple[str, ...]
    is_deep: bool

    def step(self, node: Node) -> Step:
        step = self._own_step(node)
        other = self.step(node.fallback) if node.fallback is not None else step.fallback
        return replace(step, notes=(*step.notes, *_limits(node)), fallback=other)

    def _own_step(self, node: Node) -> Step:
        match node:
            case Sequence():
                return self._sequence(node)
            case Each():
                return self._each(node)
            case Parallel():
                return self._parallel(node)
            case Route():
                return self._route(node)
        return self._leaf(node)

    def _leaf(self, node: Node) -> Step:
        if isinstance(node, FunctionStage):
            return self._function(node.name)
        if isinstance(node, Glue):
            return _leaf("glue", node.name, self.glue[node.name])
        assert isinstance(node, Value)
        return Step("value", literal(node.output), (), "any", given(Contract((), "", {}, {"const": node.output})))

    def _function(self, name: str) -> Step:
        description = self.known.get(name)
        if description is None:
            return Step("missing", name)
        if description.pipeline is None:
            return _leaf("function", name, description.contract)
        step = _leaf("pipeline", name, description.contract)
        if not self.is_deep or name in self.above:
            return step
        inside = replace(self, pipeline=name, glue=description.glue, above=(*self.above, name))
        return replace(step, inner=(("", inside.step(from_dict(description.pipeline))),))

    def _sequence(self, node: Sequence) -> Step:
        nodes = list(_flat(node))
        fits = [True, *(self._fit(before, stage) for before, stage in pairwise(nodes))]
        steps = [replace(self.step(stage), fits=fit) for stage, fit in zip(nodes, fits, strict=True)]
        if len(steps) == 1 and not _limits(node) and node.fallback is None:
            return steps[0]
        return Step("sequence", "sequence", (), steps[0].takes, steps[-1].result, tuple(("", step) for step in steps))

    def _each(self, node: Each) -> Step:
        stage = self.step(node.stage)
        takes, gives = (f"list[{one}]" for one in (stage.takes, stage.result))
        return Step("each", "each item", (f"{node.max_parallel} at a time",), takes, gives, (("", stage),))

    def _parallel(self, node: Parallel) -> Step:
        branches = tuple((name, self.step(branch)) for name, branch in node.branches)
        return Step("parallel", "parallel", (), _entrance([step for _, step in branches]), fields([name for name, _ in branches]), branches)

    def _route(self, node: Route) -> Step:
        branches = tuple((name, self.step(branch)) for name, branch in node.branches)
        chooser = self.step(node.chooser)
        return Step("route", chooser.title, (), chooser.takes, alternatives(step.result for _, step in branches), branches)

    def _fit(self, before: Node, stage: Node) -> bool:
        """Tell whether neighbours fit, as far as each of them is known, and right by itself."""
        return self._resolves(Sequence((before, stage))) or not (self._resolves(before) and self._resolves(stage))

    def _resolves(self, node: Node) -> bool:
        try:
            Resolver(self.pipeline, self.glue, self._contract).resolve(node)
        except DefinitionError:
            return False
        return True

    def _contract(self, name: str) -> Contract:
        if name not in self.known:
            raise DefinitionError(f"{name} is not here.")
        return self.known[name].contract


def _leaf(kind: str, name: str, contract: Contract) -> Step:
    return Step(kind, name, (), taken(contract), given(contract))


def _flat(node: Sequence) -> Iterator[Node]:
    """Yield the stages of a sequence, those of a sequence in it among them, unless that has limits of its own."""
    for stage in node.stages:
        if isinstance(stage, Sequence) and not _limits(stage) and stage.fallback is None:
            yield from _flat(stage)
        else:
            yield stage


def _entrance(steps: list[Step]) -> str:
    """Return the type that all branches take: the first that says more than any."""
    return next((step.takes for step in steps if step.takes not in {UNKNOWN, "any"}), steps[0].takes)


def _limits(node: Node) -> tuple[str, ...]:
    retried = (_retried(node.retry),) if node.retry else ()
    return (*retried, f"at most {node.timeout_s:g} s") if node.timeout_s is not None else retried


def _retried(retry: Retry) -> str:
    times = {1: "once", 2: "twice"}.get(retry.times, f"{retry.times} times")
    return f"retried {times}" + ("" if retry.on == RETRIED else f" on {', '.join(retry.on)}")

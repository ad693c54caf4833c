"""What each pipeline is by the functions that are served now: what it takes and gives; found anew when one of them has changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from servelite.core.contracts import Resolver, unknown
from servelite.core.errors import DefinitionError, NoWorker, ServeliteError
from servelite.core.function import Contract, Description
from servelite.core.pipeline import FunctionStage, Glue, Node, Route, from_dict, functions_of
from servelite.runtime.pool import Pool


@dataclass(frozen=True, slots=True)
class Resolved:
    """A pipeline whose stages fit together.

    node         what it is made of, with its time limit
    description  the pipeline, with what it takes and gives
    certain      the pools that each of its calls goes to, if nothing fails
    """

    node: Node
    description: Description
    certain: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a pipeline, or what is wrong with it; true for as long as what was seen is so."""

    pools: int
    seen: tuple[tuple[Pool, Description | None], ...]
    found: Resolved | ServeliteError


class Resolution:
    """Resolves the pipelines among the functions of some pools, which may become more."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools
        self._known: dict[str, _Known] = {}

    def is_pipeline(self, name: str) -> bool:
        """Tell whether a function is known to be a pipeline."""
        description = self._pools[name].workers.description
        return description is not None and description.pipeline is not None

    def stages(self, name: str) -> list[str]:
        """Return the functions that a pipeline names itself; none where it is no pipeline, or not known yet."""
        description = self._pools[name].workers.description
        return functions_of(from_dict(description.pipeline)) if description is not None and description.pipeline else []

    def misfits(self) -> dict[str, DefinitionError]:
        """Return what is wrong with pipelines, by name, as far as their stages are known."""
        found = {name: self._found(name) for name in filter(self.is_pipeline, self._pools)}
        return {name: error for name, error in found.items() if isinstance(error, DefinitionError)}

    def find(self, name: str) -> Resolved:
        """Return what a pipeline is; NoWorker where its stages do not fit together, or are not all known yet."""
        found = self._found(name)
        if isinstance(found, ServeliteError):
            raise NoWorker(found.detail) from found
        return found

    def _found(self, name: str) -> Resolved | ServeliteError:
        known = self._known.get(name)
        if known is None or self._is_outdated(known):
            known = self._known[name] = self._look(name)
        return known.found

    def _is_outdated(self, known: _Known) -> bool:
        for pool, description in known.seen:  # on the road of every call: a generator takes twice as long
            if pool.workers.description is not description:
                return True
        return known.pools != len(self._pools)

    def _look(self, name: str) -> _Known:
        attempt = _Attempt(self._pools)
        found: Resolved | ServeliteError
        try:
            found = attempt.resolve(name)
        except (DefinitionError, NoWorker) as error:
            found = error
        return _Known(len(self._pools), tuple(attempt.seen.items()), found)


class _Attempt:
    """One attempt at a pipeline, and those within it; `seen` is what it looked at."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools
        self._resolved: dict[str, Resolved] = {}
        self.seen: dict[Pool, Description | None] = {}

    def resolve(self, name: str, above: tuple[str, ...] = ()) -> Resolved:
        """Resolve a pipeline that stands within others."""
        own, path = self._description(name), (*above, name)
        node = from_dict(own.pipeline or {})
        contract = Resolver(name, own.glue, lambda stage: self._contract(stage, path)).resolve(node)
        media = replace(own, takes=contract.takes, gives=contract.gives)
        description = replace(media, input_schema=contract.input_schema, output_schema=contract.output_schema)
        limited = node if node.timeout_s is not None else replace(node, timeout_s=own.limits.timeout_s)
        certain = dict.fromkeys(pool for leaf in _certain(node) for pool in self._pools_of(leaf, name))
        self._resolved[name] = Resolved(limited, description, tuple(certain))
        return self._resolved[name]

    def _contract(self, name: str, above: tuple[str, ...]) -> Contract:
        if name in above:
            circle = " → ".join([*above[above.index(name) :], name])
            raise DefinitionError(f"The pipeline {name} can't be served: it calls itself: {circle}.")
        if name not in self._pools:
            raise unknown(name, above[-1], [one for one in self._pools if one not in above])
        own = self._description(name)
        if own.pipeline is None:
            return own.contract
        return (self._resolved.get(name) or self.resolve(name, above)).description.contract

    def _description(self, name: str) -> Description:
        own = self.seen[self._pools[name]] = self._pools[name].workers.description
        if own is None:
            raise NoWorker(f"{name} could not be loaded yet. The server's log says why; it is tried again.")
        return own

    def _pools_of(self, leaf: Node, pipeline: str) -> tuple[Pool, ...]:
        if not isinstance(leaf, FunctionStage):
            return (self._pools[pipeline],)
        inner = self._resolved.get(leaf.name)
        return inner.certain if inner else (self._pools[leaf.name],)


def _certain(node: Node) -> Iterator[Node]:
    """Yield the stages that run whatever the input is, if nothing fails; what has a fallback need not."""
    if node.fallback is not None:
        return
    if isinstance(node, (FunctionStage, Glue)):
        yield node
    elif isinstance(node, Route):
        yield node.chooser
    else:
        for _, child in node.children():
            yield from _certain(child)

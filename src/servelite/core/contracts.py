"""What a pipeline takes and gives, found from its stages; they are held to fit together, or the error names both and the field."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from servelite.core.errors import DefinitionError
from servelite.core.fits import all_of, any_of, item_of, list_of, misfit, object_of
from servelite.core.function import BINARY, JSON, TEXT, Contract
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Route, Sequence, Value

ENCODED = {"type": "string", "format": "base64"}
"""How bytes stand in JSON."""

Given = tuple[str, Contract]
"""What came before a stage: what it is called in errors, and what it gives."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds the contract of one pipeline; `function` finds that of another function, or raises."""

    pipeline: str
    glue: Mapping[str, Contract]
    function: Callable[[str], Contract]

    def resolve(self, node: Node) -> Contract:
        """Return what a pipeline takes and gives.

        Raises:
            DefinitionError: stages do not fit together, or name what is not there.
        """
        return self._contract(node, None)

    def _contract(self, node: Node, given: Given | None) -> Contract:
        """Return a node's contract, after holding what is given against what it takes."""
        contract = self._own_contract(node, given)
        if node.fallback is None:
            return contract
        other = self._contract(node.fallback, given)
        if other.gives != contract.gives and not isinstance(node.fallback, Value):
            raise self._error(
                f"{title(node)} gives {contract.gives}, and its fallback {title(node.fallback)} {other.gives}; both must give the same"
            )
        return replace(contract, output_schema=any_of([contract.output_schema, other.output_schema]))

    def _own_contract(self, node: Node, given: Given | None) -> Contract:
        match node:
            case Sequence():
                return self._sequence(node, given)
            case Parallel():
                return self._parallel(node, given)
            case Each():
                return self._each(node, given)
            case Route():
                return self._route(node, given)
        return self._leaf(node, given)

    def _leaf(self, node: Node, given: Given | None) -> Contract:
        contract = self._found(node)
        if given is not None:
            self._hold(given, title(node), contract)
        return contract

    def _found(self, node: Node) -> Contract:
        if isinstance(node, FunctionStage):
            return self.function(node.name)
        if isinstance(node, Glue):
            return self.glue[node.name]
        assert isinstance(node, Value)
        return Contract((), JSON, {}, {"const": node.output})

    def _sequence(self, node: Sequence, given: Given | None) -> Contract:
        first = before = self._contract(node.stages[0], given)
        for earlier, stage in zip(node.stages, node.stages[1:], strict=False):
            before = self._contract(stage, (title(earlier), before))
        return replace(before, takes=first.takes, input_schema=first.input_schema)

    def _parallel(self, node: Parallel, given: Given | None) -> Contract:
        contracts = {name: self._contract(branch, given) for name, branch in node.branches}
        outputs = {name: in_json(one.gives, one.output_schema) for name, one in contracts.items()}
        return self._entrance(node, list(contracts.values()), JSON, object_of(outputs))

    def _each(self, node: Each, given: Given | None) -> Contract:
        item: Given | None = None
        if given is not None:
            before, contract = given
            found = item_of(contract.output_schema) if contract.gives == JSON else None
            if found is None:
                raise self._error(f"{title(node)} wants a list, and {before} gives none")
            item = f"an item of {before}", replace(contract, output_schema=found)
        stage = self._contract(node.stage, item)
        return Contract(
            (JSON,), JSON, list_of(in_json(_media(stage.takes), stage.input_schema)), list_of(in_json(stage.gives, stage.output_schema))
        )

    def _route(self, node: Route, given: Given | None) -> Contract:
        chooser = self._contract(node.chooser, given)
        self._hold_choices(node, chooser.output_schema)
        contracts = [self._contract(branch, given) for _, branch in node.branches]
        gives = {one.gives for one, (_, branch) in zip(contracts, node.branches, strict=True) if not isinstance(branch, Value)} or {JSON}
        media = gives.pop() if len(gives) == 1 else JSON
        outputs = [one.output_schema if media == one.gives else in_json(one.gives, one.output_schema) for one in contracts]
        return self._entrance(node, [chooser, *contracts], media, any_of(outputs))

    def _hold_choices(self, node: Route, schema: dict[str, Any]) -> None:
        """Hold the names that a chooser may return against those of the branches."""
        choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if choices is None:
            raise self._error(f"{node.chooser.name} chooses for {title(node)}: annotate what it returns as Literal[{self._listed(node)}]")
        names = [name for name, _ in node.branches]
        for choice in choices:
            if choice not in names:
                raise self._error(
                    f"{node.chooser.name} may choose {choice!r}, for which {title(node)} has no branch; it has {', '.join(names)}"
                )
        for name in names:
            if name not in choices:
                raise self._error(f"the branch '{name}' of {title(node)} can't be reached: {node.chooser.name} never chooses it")

    def _entrance(self, node: Node, contracts: list[Contract], gives: str, output: dict[str, Any]) -> Contract:
        """Join the inputs of stages that all get the same one."""
        wanted = [one for one in contracts if one.takes]
        takes = tuple(media for media in (wanted[0].takes if wanted else (JSON,)) if all(media in one.takes for one in wanted))
        if not takes:
            raise self._error(f"the stages of {title(node)} take nothing in common: {' / '.join(', '.join(one.takes) for one in wanted)}")
        schemas = [
            one.input_schema
            for number, one in enumerate(wanted)
            if one.input_schema not in [other.input_schema for other in wanted[:number]]
        ]
        joined = schemas[0] if len(schemas) == 1 else all_of(schemas)
        return Contract(takes, gives, joined, output)

    def _hold(self, given: Given, stage: str, contract: Contract) -> None:
        before, out = given
        if not contract.takes:  # a value takes whatever comes
            return
        if out.gives == BINARY and BINARY not in contract.takes:
            raise self._error(f"{before} gives bytes, and {stage} takes {', '.join(contract.takes)}")
        if out.gives == BINARY:
            return
        wrong = misfit(out.output_schema, in_json(_media(contract.takes), contract.input_schema))
        if wrong is not None:
            raise self._error(f"{before} does not fit {stage}: {wrong}")

    def _listed(self, node: Route) -> str:
        return ", ".join(f'"{name}"' for name, _ in node.branches)

    def _error(self, what: str) -> DefinitionError:
        return DefinitionError(f"The pipeline {self.pipeline} can't be served: {what}.")


def title(node: Node) -> str:
    """Return what a stage is called in errors and traces."""
    if isinstance(node, (FunctionStage, Glue)):
        return node.name
    if isinstance(node, Value):
        return f"value({json.dumps(node.output)[:30]})"
    if isinstance(node, Each):
        return f"each({title(node.stage)})"
    if isinstance(node, Sequence):
        return f"sequence({title(node.stages[0])} … {title(node.stages[-1])})"
    assert isinstance(node, (Parallel, Route))
    return f"{node.kind}({', '.join(name for name, _ in node.branches)})"


def in_json(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an input or output where it stands in JSON."""
    return ENCODED if media == BINARY else schema


def unknown(name: str, pipeline: str, known: list[str]) -> DefinitionError:
    """Return the error for a function that a pipeline names and nobody serves."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    told = f"The pipeline {pipeline} names the function '{name}', which is not here."
    return DefinitionError(
        f"{told}{hint} Functions here: {', '.join(sorted(known)) or 'none'}. Put its folder beside the pipeline's, or serve it too."
    )


def _media(takes: tuple[str, ...]) -> str:
    """Return the media type under which JSON's values come to a stage."""
    return JSON if not takes or JSON in takes or TEXT in takes else BINARY

"""What a pipeline takes and gives, found from its stages; they are held to fit together, or the error names both and the field."""

import base64
import difflib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from servelite.core.errors import DefinitionError
from servelite.core.fits import all_of, any_of, item_of, list_of, misfit, object_of
from servelite.core.function import BINARY, JSON, TEXT, Contract
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Route, Sequence, Value
from servelite.core.shapes import Reader

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
        found = self._contract(node, None)
        return found if found.takes else replace(found, takes=(JSON,))  # a value alone takes whatever comes

    def _contract(self, node: Node, given: Given | None) -> Contract:
        """Return a node's contract, after holding what is given against what it takes."""
        contract = self._own_contract(node, given)
        if node.fallback is None:
            return contract
        other = self._contract(node.fallback, given)
        if _common_medium([(node, contract), (node.fallback, other)]) is None:
            told = f"{title(node)} gives {contract.gives}, and its fallback {title(node.fallback)} {other.gives}"
            raise self._error(f"{told}; both must give the same")
        output = any_of([contract.output_schema, other.output_schema])
        return self._joined(f"{title(node)} and its fallback {title(node.fallback)}", [contract, other], given, contract.gives, output)

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
        return self._joined(f"the stages of {title(node)}", list(contracts.values()), given, JSON, object_of(outputs))

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
        branches = [(branch, self._contract(branch, given)) for _, branch in node.branches]
        medium = _common_medium(branches) or JSON
        outputs = [one.output_schema if one.gives == medium else in_json(one.gives, one.output_schema) for _, one in branches]
        return self._joined(f"the stages of {title(node)}", [chooser, *(one for _, one in branches)], given, medium, any_of(outputs))

    def _hold_choices(self, node: Route, schema: dict[str, Any]) -> None:
        """Hold the names that a chooser may return against those of the branches."""
        values, names = Reader(schema).values(schema), [name for name, _ in node.branches]
        if not values or any("const" not in value for value in values):
            listed = ", ".join(f'"{name}"' for name in names)
            raise self._error(f"{node.chooser.name} chooses for {title(node)}: annotate what it returns as Literal[{listed}]")
        choices = [value["const"] for value in values]
        for choice in choices:
            if choice not in names:
                told = f"{node.chooser.name} may choose {choice!r}, for which {title(node)} has no branch"
                raise self._error(f"{told}; it has {', '.join(names)}")
        for name in names:
            if name not in choices:
                raise self._error(f"the branch '{name}' of {title(node)} can't be reached: {node.chooser.name} never chooses it")

    def _joined(self, stages: str, contracts: list[Contract], given: Given | None, gives: str, output: dict[str, Any]) -> Contract:
        """Join the contracts of stages that all get the same input; what comes from another stage was held against each of them."""
        wanted = [one for one in contracts if one.takes]
        if given is not None or not wanted:
            return Contract((), gives, {}, output)
        takes = tuple(media for media in wanted[0].takes if all(media in one.takes for one in wanted))
        if not takes:
            raise self._error(f"{stages} take nothing in common: {' / '.join(', '.join(one.takes) for one in wanted)}")
        schemas = [one.input_schema for one in wanted]
        different = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
        return Contract(takes, gives, different[0] if len(different) == 1 else all_of(different), output)

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
        if len(node.stages) == 1:
            return title(node.stages[0])
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


def _common_medium(stages: list[tuple[Node, Contract]]) -> str | None:
    """Return the media type that all give, a value in whichever it can; None where they differ."""
    media = {contract.gives for node, contract in stages if not isinstance(node, Value)} or {JSON}
    values = [node.output for node, _ in stages if isinstance(node, Value)]
    medium = media.pop()
    return None if media or not all(_can_be(medium, value) for value in values) else medium


def _can_be(medium: str, value: Any) -> bool:
    """Tell whether a value can be given as text, which is a string, or as bytes, which are base64."""
    if medium == BINARY:
        with suppress(TypeError, ValueError):
            return bool(base64.b64decode(value, validate=True)) or value == ""
        return False
    return medium == JSON or isinstance(value, str)

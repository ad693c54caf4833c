"""The calls that handlers make: each a call of its own, for its parent's account, on the same road, one deeper."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from servelite.core.call import Answer, Call, Outcome, Question, Told
from servelite.core.errors import FunctionFailed, FunctionNotFound, ServeliteError
from servelite.runtime.flow import placed

MOST_DEPTH = 24
"""How deep handlers may call each other: Algorithmia's limit. Real ones go three or four deep; one without end is stopped."""

Error = TypeVar("Error", bound=ServeliteError)


class Children:
    """Makes calls of what handlers ask, by `make`; `add` serves one more function, that stands beside the asking one, if it may."""

    def __init__(self, functions: Mapping[str, object], new_id: Callable[[], str], make: Callable[[Call], Awaitable[Answer]]) -> None:
        self._functions = functions
        self._new_id = new_id
        self._make = make
        self.add: Callable[[str, str], Awaitable[None]] | None = None
        self._arriving: dict[str, asyncio.Task[None]] = {}

    async def call(self, parent: Call, question: Question, patience_s: float) -> Answer:
        """Answer a question as a call is answered.

        Raises:
            FunctionNotFound: there is no such function.
            FunctionFailed: it is too deep.
            ServeliteError: as `make`.
        """
        if parent.depth >= MOST_DEPTH:
            raise _too_deep(parent, question)
        await self._find(question.function, parent.function)
        call = Call(self._new_id(), question.function, question.media_type, question.body, parent.account, patience_s=patience_s)
        call.key_id, call.parent, call.above, call.depth = parent.key_id, parent.id, parent, parent.depth + 1
        call.ends_s = parent.ends_s
        call.join_trace(parent)
        return await self._make(call)

    async def _find(self, name: str, beside: str) -> None:
        """See that a function is there, and wait for one that is just being added."""
        if self.add is not None and name not in self._functions:
            self._arriving[name] = asyncio.ensure_future(self._added(self.add, name, beside))
        if name in self._arriving:
            await asyncio.shield(self._arriving[name])
        if name not in self._functions:
            raise _not_served(name, self._functions) if self.add is None else _not_beside(name, beside)

    async def _added(self, add: Callable[[str, str], Awaitable[None]], name: str, beside: str) -> None:
        try:
            await add(name, beside)
        finally:
            del self._arriving[name]


def succeeded(question: Question, answer: Answer) -> Told:
    """Return what a handler is told of an answer, be it an error."""
    if answer.error is not None:
        return failed(question, answer.error)
    return Told(question.number, Outcome(answer.body), answer.media_type)


def failed(question: Question, error: ServeliteError) -> Told:
    """Return what a handler is told of an error: it names the function that was called."""
    return Told(question.number, Outcome(error=error if error.stage else placed(error, question.function)), "")


def _too_deep(parent: Call, question: Question) -> FunctionFailed:
    told = f"{question.function} was not called by {parent.function}: handlers may call each other {MOST_DEPTH} deep, and no deeper."
    return _about(question.function, FunctionFailed(f"{told} Does one call itself without end?"))


def _not_served(name: str, functions: Mapping[str, object]) -> FunctionNotFound:
    served = f"No function named '{name}' is served. Functions here: {', '.join(sorted(functions))}."
    return _about(name, FunctionNotFound(f"{served} A handler can call what is served: name its folder too, in servelite run."))


def _not_beside(name: str, beside: str) -> FunctionNotFound:
    return _about(name, FunctionNotFound(f"No function named '{name}' stands beside {beside}, which calls it. Put its folder there."))


def _about(name: str, error: Error) -> Error:
    """Say which function an error is about that names it already."""
    error.stage = name
    return error

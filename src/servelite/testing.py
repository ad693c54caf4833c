"""Helpers for people who test the functions they write: call one here, in this process, without a server."""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from servelite.assembly.engines import start_local_engine
from servelite.core.call import Answer, Call
from servelite.core.errors import DefinitionError
from servelite.core.likeness import TOLERANCE
from servelite.runtime.batch_mates import find_dependences

Result = TypeVar("Result")


class FunctionClient:
    """Calls one function folder through the same road as a server, its handler in this process; a pipeline's stages in workers.

    with FunctionClient("functions/sentiment") as sentiment:
        assert sentiment.call({"text": "great"})["label"] == "positive"
    """

    def __init__(self, folder: str | Path) -> None:
        """Load a function's folder; DefinitionError where it can't be loaded. Nothing is written to a ledger."""
        self._thread = ThreadPoolExecutor(max_workers=1)  # with a loop of its own, so that it works in notebooks too
        self._runner = asyncio.Runner()
        try:
            self._engine = self._run(start_local_engine(Path(folder), ledger="none"))
        except BaseException:
            self._end()
            raise
        self._description = self._engine.describe(next(iter(self._engine.pools)))

    @property
    def examples(self) -> tuple[dict[str, Any], ...]:
        """The lines of examples.jsonl: {"input": …, "output": …}, the output optional."""
        return self._description.examples

    def call(self, value: Any) -> Any:
        """Send an input as examples.jsonl has it, and return the output likewise; bytes are sent as they are, and bytes come back.

        Raises:
            ServeliteError: what a client of the server would be told, for example InvalidInput.
        """
        answer = self.call_body(self._encode(value))
        if answer.error:
            raise answer.error
        return answer.body if isinstance(value, bytes) else self._description.decode_output(answer.body)

    def call_body(self, body: bytes, media_type: str = "") -> Answer:
        """Send a body, and return the whole answer with its receipt."""
        call = Call(self._engine.new_id(), self._description.name, media_type, body)
        return self._run(self._engine.call(call))

    def check_batches(self, inputs: Sequence[Any] | None = None, tolerance: float = TOLERANCE) -> None:
        """Hold that no answer depends on its batch-mates: inputs, by default the examples, are run alone and in many batches.

        Floats may be apart by `tolerance`, as a part of the larger one.

        Raises:
            AssertionError: an answer differs; it names the input, its batch-mates and the difference.
            DefinitionError: there is no input to try.
        """
        tried = [example["input"] for example in self.examples] if inputs is None else inputs
        if not tried:
            raise DefinitionError(f"{self._description.name} has no examples.jsonl to take inputs from. Give some: check_batches([…])")
        if dependent := self._run(find_dependences(self._engine, [self._encode(value) for value in tried], tolerance)):
            raise AssertionError("\n".join(dependent))

    def close(self) -> None:
        """End the function's worker."""
        self._run(self._engine.stop())
        self._end()

    def _end(self) -> None:
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _encode(self, value: Any) -> bytes:
        return value if isinstance(value, bytes) else self._description.encode_input(value)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._thread.submit(self._runner.run, work).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

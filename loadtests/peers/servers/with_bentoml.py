"""BentoML: a service whose method takes batches, which its adaptive batching makes; BATCH=1 is without.

With batching an item travels as a list of one, as BentoML wants it.
"""

import bentoml
from work import Input, Model, Output, number

BATCH = number("BATCH", 1)


class _Service:
    def __init__(self) -> None:
        self._model = Model()


if BATCH > 1:

    @bentoml.service(workers=number("PROCESSES", 1), metrics={"enabled": False}, logging={"access": {"enabled": False}})
    class Work(_Service):
        @bentoml.api(batchable=True, route="/work", max_batch_size=BATCH, max_latency_ms=number("WAIT_MS", 1000))
        def work(self, batch: list[Input], /) -> list[Output]:
            return self._model(batch)

else:

    @bentoml.service(workers=number("PROCESSES", 1), metrics={"enabled": False}, logging={"access": {"enabled": False}})
    class Work(_Service):
        @bentoml.api(route="/work")
        async def work(self, given: Input, /) -> Output:
            return self._model([given])[0]

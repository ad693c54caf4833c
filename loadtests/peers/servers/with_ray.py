"""Ray Serve: replicas behind its HTTP proxy, with `serve.batch`; BATCH=1 is without."""

import time
from typing import Any

import ray
from pydantic import ValidationError
from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from work import PORT, Model, number, read, write

BATCH, REPLICAS = number("BATCH", 1), number("PROCESSES", 1)


@serve.deployment(num_replicas=REPLICAS, max_ongoing_requests=2 * max(BATCH, 32), ray_actor_options={"num_cpus": 1 / REPLICAS})
class Work:
    """Reads bytes, answers bytes."""

    def __init__(self) -> None:
        self._model = Model()

    async def __call__(self, request: Request) -> Response:
        try:
            given = read(await request.body())
        except ValidationError as error:
            return Response(error.json(), status_code=422, media_type="application/json")
        answered = await self.many(given) if BATCH > 1 else self._model([given])[0]
        return Response(write(answered), media_type="application/json")

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=number("WAIT_MS", 0) / 1000)
    async def many(self, batch: list[Any]) -> list[Any]:
        return self._model(batch)


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Work.bind(), route_prefix="/work", logging_config={"enable_access_log": False})
    while True:
        time.sleep(3600)

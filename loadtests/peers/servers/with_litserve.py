"""LitServe: an API of decode, predict and encode, with batches and the fast queue."""

from typing import Annotated, Any

from fastapi import Body
from litserve import LitAPI, LitServer
from work import PORT, Input, Model, Output, number

BATCH = number("BATCH", 1)


class Work(LitAPI):
    """Without batches each step gets one request, with them `predict` gets a list."""

    def setup(self, device: str) -> None:
        self._model = Model()

    def decode_request(self, request: Annotated[Input, Body()]) -> Any:
        return request

    def predict(self, given: Any) -> Any:
        return self._model(given) if BATCH > 1 else self._model([given])[0]

    def unbatch(self, output: Any) -> Any:
        return output

    def batch(self, inputs: Any) -> Any:
        return inputs

    def encode_response(self, output: Any) -> Output:
        return output


if __name__ == "__main__":
    api = Work(max_batch_size=BATCH, batch_timeout=number("WAIT_MS", 0) / 1000, api_path="/work")
    server = LitServer(api, accelerator="cpu", workers_per_device=number("PROCESSES", 1), fast_queue=True)
    server.run(port=PORT, host="127.0.0.1", num_api_servers=number("FRONTS", 1), log_level="warning", generate_client_file=False)

"""FastAPI on uvicorn, as its documents have it: typed body, response model, worker processes.

The handler is `async def` with SYNC=0, which costs no thread, else `def`, as the documents want it where a handler blocks.
"""

from typing import Annotated, Any

from fastapi import Body, FastAPI
from work import Input, Model, Output, number

app = FastAPI()
model = Model()


async def answer(given: Annotated[Input, Body()]) -> Any:
    """Answer one request on the event loop."""
    return model([given])[0]


def answer_in_thread(given: Annotated[Input, Body()]) -> Any:
    """Answer one request in a thread of the pool."""
    return model([given])[0]


app.post("/work", response_model=Output)(answer_in_thread if number("SYNC", 0) else answer)

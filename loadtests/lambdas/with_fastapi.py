"""What most would write: FastAPI behind Mangum, with typed input and output."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, Field

session = onnxruntime.InferenceSession(str(Path(__file__).with_name("model.onnx")), providers=["CPUExecutionProvider"])
app = FastAPI()


class Review(BaseModel):
    text: str = Field(min_length=1, max_length=10_000)


class Sentiment(BaseModel):
    label: Literal["positive", "negative"]
    score: float = Field(ge=0, le=1)


@app.post("/sentiment")
def sentiment(review: Review) -> Sentiment:
    positive = float(session.run(["positive"], {"text": np.array([review.text.lower()], dtype=object)})[0][0])
    return Sentiment(label="positive" if positive >= 0.5 else "negative", score=round(max(positive, 1 - positive), 4))


handler: Any = Mangum(app, lifespan="off")

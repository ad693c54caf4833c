"""64 numbers to the probabilities of 10 classes: a model so small that a server's own work is what one measures."""

import numpy as np
from pydantic import BaseModel, Field

from servelite import function, load_onnx


class Features(BaseModel):
    """What is to be classified."""

    features: list[float] = Field(min_length=64, max_length=64)


class Classes(BaseModel):
    """How probable each class is."""

    probabilities: list[float] = Field(min_length=10, max_length=10)


model = load_onnx("model.onnx")  # float32[n, 64] to float32[n, 10]; train.py made it


@function(max_batch=64)
def tiny(batch: list[Features]) -> list[Classes]:
    """Classify a batch in one run of the model."""
    rows = np.array([one.features for one in batch], dtype=np.float32)
    (probabilities,) = model.run(None, {"features": rows})
    return [Classes(probabilities=row) for row in probabilities.tolist()]

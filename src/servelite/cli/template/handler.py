"""Greets a person by name."""

from pydantic import BaseModel, Field

from servelite import function


class Person(BaseModel):
    """What a caller sends."""

    name: str = Field(min_length=1, max_length=100)


class Greeting(BaseModel):
    """What a caller gets."""

    text: str


# A model is opened here, once a worker: model = load_onnx("model.onnx")


@function(timeout_s=5)
def NAME(person: Person) -> Greeting:
    """Answer one call."""
    return Greeting(text=f"Hello {person.name}!")

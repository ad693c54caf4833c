"""Prices an order: models in models, a recursive one and a choice of two among them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from servelite import function


class Category(BaseModel):
    """A node of a tree."""

    name: str
    parent: "Category | None" = None


class Piece(BaseModel):
    kind: Literal["piece"] = "piece"
    count: int = Field(ge=1)


class Weight(BaseModel):
    kind: Literal["weight"]
    grams: float = Field(gt=0)


class Line(BaseModel):
    category: Category
    amount: Annotated[Piece | Weight, Field(discriminator="kind")]
    price_cents: int = Field(ge=0)


class Order(BaseModel):
    lines: list[Line] = Field(min_length=1)
    note: str | None = None


class Sum(BaseModel):
    root: str
    cents: int


class Bill(BaseModel):
    sums: list[Sum]
    cents: int


@function
def order(order: Order) -> Bill:
    sums = [Sum(root=_root(line.category), cents=_cents(line)) for line in order.lines]
    return Bill(sums=sums, cents=sum(one.cents for one in sums))


def _root(category: Category) -> str:
    return category.name if category.parent is None else _root(category.parent)


def _cents(line: Line) -> int:
    amount = line.amount.count if isinstance(line.amount, Piece) else line.amount.grams / 1000
    return round(amount * line.price_cents)

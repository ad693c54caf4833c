"""Gives back what it gets, of any type."""

from typing import Any

from servelite import function


@function
def anything(value: Any) -> Any:
    return value

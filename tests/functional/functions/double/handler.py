"""Doubles a whole number."""

from servelite import function


@function
def double(number: int) -> int:
    return 2 * number

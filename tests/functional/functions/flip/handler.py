"""Turns bytes around."""

from servelite import function


@function
def flip(data: bytes) -> bytes:
    return data[::-1]

"""Makes a text loud."""

from servelite import function


@function
def shout(text: str) -> str:
    return f"{text.upper()}!"

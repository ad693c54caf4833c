"""Mixes of functions: `sentiment=3,topic=1`."""

import re

from servelite.core.errors import DefinitionError
from servelite.core.function import NAME


def parse_mix(text: str) -> dict[str, float]:
    """Read how often each function is called, relative to the others; a name alone is 1.

    Raises:
        DefinitionError: a part is not NAME or NAME=NUMBER, a name comes twice, or nothing would be called.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, said = (one.strip() for one in part.partition("="))
        if not NAME.fullmatch(name) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", said if equals else "1"):
            raise DefinitionError(f"'{part[:60]}' is no part of a mix. Write for example sentiment=3,topic=1.")
        if name in found:
            raise DefinitionError(f"The mix has {name} twice. Give it one number.")
        found[name] = float(said) if equals else 1.0
    if not any(found.values()):
        raise DefinitionError(f"'{text[:60]}' calls nothing. Give a function a number above 0.")
    return {name: weight for name, weight in found.items() if weight}

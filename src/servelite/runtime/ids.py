"""The ids of calls: new ones that begin with the time, or, where a call may come again as itself, one made of its event."""

import hashlib
from collections.abc import Callable

from servelite.core.call import Call, call_id


class Ids:
    """Makes ids that no other call has; `given` is the id of what comes next, where whoever asks has one for it."""

    def __init__(self, now_s: Callable[[], float], random_bits: Callable[[int], int]) -> None:
        self._now_s = now_s
        self._random_bits = random_bits
        self.given = ""

    def new(self) -> str:
        """Return the id of a request."""
        if self.given:
            given, self.given = self.given, ""
            return given
        return call_id(int(self._now_s() * 1000), self._random_bits(80))

    def of_stage(self, _pipeline: Call, _number: int) -> str:
        """Return the id of a stage's call: of a pipeline's call that has begun so many before."""
        return self.new()


class LastingIds(Ids):
    """Ids for calls that come again as themselves, with their id: then those of their stages are the same too."""

    def of_stage(self, pipeline: Call, number: int) -> str:
        """Return the id of a stage's call; see `Ids`."""
        return lasting_id(pipeline.id, str(number))


def lasting_id(*parts: str) -> str:
    """Return the id that is made of some texts: of the same ones always the same."""
    return hashlib.sha256("\n".join(f"{len(part)} {part}" for part in parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

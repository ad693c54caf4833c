"""The stopwatch of one batch: laps, each charged to the calls whose time it was, that add up to the batch's time exactly."""

from collections.abc import Callable, Sequence

from servelite.core.call import shares


class Stopwatch:
    """Runs from its making to the last lap; `clock_ns` is `time.perf_counter_ns`, or stands in for it."""

    __slots__ = ("_begun_ns", "_calls", "_charged_ns", "_clock_ns", "_lap_ns")

    def __init__(self, calls: int, clock_ns: Callable[[], int]) -> None:
        self._calls = calls
        self._charged_ns = [0] * calls
        self._clock_ns = clock_ns
        self._begun_ns = self._lap_ns = clock_ns()

    def lap(self) -> int:
        """End a lap and return its ns. What is charged to nobody is shared by all."""
        begun_ns = self._lap_ns
        self._lap_ns = now_ns = self._clock_ns()
        return now_ns - begun_ns

    def charge(self, place: int) -> None:
        """End a lap that was one call's."""
        now_ns = self._clock_ns()
        self._charged_ns[place] += now_ns - self._lap_ns
        self._lap_ns = now_ns

    def share(self, lap_ns: int, places: Sequence[int]) -> None:
        """Charge a lap to some of the calls, equally; the time that this takes is nobody's."""
        if self._calls == 1:
            return  # whatever passes is the one call's
        for place, part_ns in zip(places, shares(lap_ns, len(places)), strict=True):
            self._charged_ns[place] += part_ns
        self.lap()

    def times_us(self) -> list[int]:
        """Return each call's time: what it was charged, and an equal part of the rest. They add up to all laps, less a part of a µs."""
        total_us = (self._lap_ns - self._begun_ns) // 1000
        if self._calls <= 1:
            return [total_us] * self._calls
        whole_us = [charged_ns // 1000 for charged_ns in self._charged_ns]
        rest_us = total_us - sum(whole_us)
        return [one + part for one, part in zip(whole_us, shares(rest_us, self._calls), strict=True)]

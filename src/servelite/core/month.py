"""A calendar month (UTC): when it begins and ends, its days, and how much of it has passed."""

from dataclasses import dataclass
from datetime import date, timedelta

HOUR_US = 3600 * 1_000_000

DAY_US = 24 * HOUR_US

_EPOCH = date(1970, 1, 1)


def day_of(now_us: int) -> date:
    """Return the day of a moment, which is given in µs since 1970."""
    return _EPOCH + timedelta(days=now_us // DAY_US)


@dataclass(frozen=True, slots=True, order=True)
class CalendarMonth:
    """A month of a year; moments are µs since 1970."""

    year: int
    number: int

    @classmethod
    def of(cls, now_us: int) -> "CalendarMonth":
        """Return the month of a moment."""
        return cls(day_of(now_us).year, day_of(now_us).month)

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def following(self) -> "CalendarMonth":
        """The month after it."""
        return CalendarMonth(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def begins_us(self) -> int:
        """Its first moment."""
        return (self.first - _EPOCH).days * DAY_US

    @property
    def ends_us(self) -> int:
        """The first moment after it."""
        return self.following.begins_us

    def days(self) -> list[date]:
        """Return its days."""
        count = (self.following.first - self.first).days
        return [self.first + timedelta(days=number) for number in range(count)]

    def is_over(self, now_us: int) -> bool:
        """Tell whether it has ended."""
        return now_us >= self.ends_us

    def hours_begun(self, now_us: int) -> int:
        """Count its hours so far, the one that has just begun among them; all of them once it is over, none before it."""
        passed_us = min(now_us, self.ends_us) - self.begins_us
        return max(0, -(-passed_us // HOUR_US))

    def __str__(self) -> str:
        """Write it as 2026-11."""
        return f"{self.year}-{self.number:02}"

    @property
    def title(self) -> str:
        """Its name for people: November 2026."""
        return f"{self.first:%B} {self.year}"

"""What compute-seconds cost: prices as whole numbers, and the sums made with them."""

from dataclasses import dataclass

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price list; money is in millionths of the currency's unit, time in microseconds.

    price_micro_per_s  price of one compute-second
    free_s             compute-seconds free for each account and calendar month (UTC)

    The default is Algorithmia's: 10,000 credits were one dollar and one credit one second, so one
    cent buys 100 seconds; and 5,000 free seconds a month.
    """

    price_micro_per_s: int = 100
    free_s: int = 5_000
    currency: str = "USD"

    def cost_micro(self, billed_us: int) -> int:
        """Price a sum of billed time, rounded half up once, on the sum."""
        return (billed_us * self.price_micro_per_s + MICRO // 2) // MICRO

    def free_left_us(self, billed_us: int) -> int:
        """Return what is left of a month's free time after `billed_us`."""
        return max(0, self.free_s * MICRO - billed_us)

    def payable_micro(self, billed_us: int) -> int:
        """Price what one account used in a month beyond its free time."""
        return self.cost_micro(max(0, billed_us - self.free_s * MICRO))


def money(micro: int, currency: str = "USD") -> str:
    """Write an amount for people, to the last millionth where it is small: `0.0143 USD`."""
    whole, part = divmod(micro, MICRO)
    digits = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits} {currency}"

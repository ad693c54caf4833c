"""What compute-seconds cost: price lists as whole numbers, and the sums made with them.

Money is in millionths of the currency's unit; a single call's cost in millionths of those (pico), for a
call of 143 µs costs 0.0143 micro-dollars. What a call is billed in are *units*: its billed microseconds,
times the MiB of its function where the tariff weighs memory. All sums are made of units, and rounded once.
"""

from dataclasses import dataclass

MICRO = 1_000_000

MIB_A_GB = 1024
"""What one GB-second of a tariff that weighs memory holds, as AWS counts it."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price list.

    price_micro, per_s           that much money buys so many compute-seconds (GB-seconds if it weighs memory)
    free_s                       seconds free for each account and calendar month (UTC), in the same measure
    call_price_micro, per_calls  that much money buys so many calls, beside their time
    free_calls                   calls free for each account and calendar month
    round_up_us                  each call's time is billed in whole steps of this
    weighs_memory                whether a second counts as many GB-seconds as the function has GiB
    least_mib                    functions with less memory are weighed as if they had this

    The default is Algorithmia's: 10,000 credits were one dollar and one credit one second, so one
    cent buys 100 seconds; and 5,000 free seconds a month. Only its rounding to whole seconds is not kept.
    """

    price_micro: int = 10_000
    per_s: int = 100
    free_s: int = 5_000
    call_price_micro: int = 0
    per_calls: int = 1_000_000
    free_calls: int = 0
    round_up_us: int = 1
    weighs_memory: bool = False
    least_mib: int = 0
    currency: str = "USD"

    def billed_us(self, compute_us: int) -> int:
        """Round a call's time up as this tariff bills it."""
        return -(-compute_us // self.round_up_us) * self.round_up_us

    def mib_us(self, billed_us: int, memory_mib: int) -> int:
        """Weigh billed time with the memory limit of its function."""
        return billed_us * max(self.least_mib, memory_mib)

    def units(self, billed_us: int, mib_us: int) -> int:
        """Return the units of some billed time; `mib_us` is the same time, weighed."""
        return mib_us if self.weighs_memory else billed_us

    @property
    def units_a_us(self) -> int:
        """Units of one free or paid microsecond."""
        return MIB_A_GB if self.weighs_memory else 1

    @property
    def measure(self) -> str:
        """What its seconds are called."""
        return "GB-seconds" if self.weighs_memory else "seconds"

    @property
    def free_units(self) -> int:
        """Units free for each account and month."""
        return self.free_s * MICRO * self.units_a_us

    def cost_pico(self, units: int, calls: int) -> int:
        """Price calls of so many units together, free time not taken off; rounded half up once."""
        time_parts, time_whole = units * self.price_micro, self.per_s * self.units_a_us
        call_parts = calls * self.call_price_micro * MICRO
        return (2 * time_parts + time_whole) // (2 * time_whole) + (2 * call_parts + self.per_calls) // (2 * self.per_calls)

    def payable_pico(self, units: int, calls: int) -> int:
        """Price what an account used in a month beyond what is free."""
        return self.cost_pico(max(0, units - self.free_units), max(0, calls - self.free_calls))

    def free_left_us(self, units: int) -> int:
        """Return what is left of a month's free time after so many units."""
        return max(0, self.free_units - units) // self.units_a_us

    def is_free_used_up(self, units: int, calls: int) -> bool:
        """Tell whether the next call would not be free: the time is used up, or the calls are where calls cost."""
        return units >= self.free_units or (self.call_price_micro > 0 and calls >= self.free_calls)


PRESETS = {
    "algorithmia": Tariff(),
    # AWS Lambda, us-east-1, 2026: 0.0000166667 USD a GB-second on x86, 0.0000133334 on arm64, by the millisecond,
    # 128 MB at least, 0.20 USD a million requests; 400,000 GB-seconds and a million requests free each month.
    "lambda-x86": Tariff(166_667, 10_000, 400_000, 200_000, 1_000_000, 1_000_000, 1000, weighs_memory=True, least_mib=128),
    "lambda-arm": Tariff(133_334, 10_000, 400_000, 200_000, 1_000_000, 1_000_000, 1000, weighs_memory=True, least_mib=128),
}


def rounded_micro(pico: int) -> int:
    """Return an amount in millionths of the currency's unit, rounded half up."""
    return (pico + MICRO // 2) // MICRO


def money(micro: int, currency: str = "USD", decimals: int = 2) -> str:
    """Write an amount for people, to the last millionth where it is small, with so many decimals at least: `0.0143 USD`."""
    whole, part = divmod(micro, MICRO)
    digits = f"{part:06d}".rstrip("0")
    return f"{whole}.{digits.ljust(decimals, '0')} {currency}"

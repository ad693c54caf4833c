"""The mean of some numbers; of none it is not a number."""

from servelite import function


@function
def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else float("nan")

import pytest

from servelite.core.card import read_bars

MEASURED = {"accuracy": 0.81, "loss": 0.3, "film": {"accuracy": 0.9}, "name": "x", "checked": True}


def shortfalls(acceptance: object) -> list[str]:
    return [bar.shortfall for bar in read_bars({"acceptance": acceptance, "measured": MEASURED}) if bar.shortfall]


@pytest.mark.parametrize(
    "acceptance",
    [
        {},
        {"accuracy": 0.8},
        {"accuracy": 0.81},
        {"accuracy": {"min": 0.8}},
        {"loss": {"max": 0.3}},
        {"loss": {"min": 0.2, "max": 0.4}},
        {"film": {"accuracy": 0.9}},
    ],
    ids=str,
)
def test_a_figure_may_clear_its_bar(acceptance):
    assert shortfalls(acceptance) == []


@pytest.mark.parametrize(
    ("acceptance", "said"),
    [
        ({"accuracy": 0.82}, "accuracy is 0.81, below its bar of 0.82: improve the model, or lower the bar."),
        ({"accuracy": {"min": 0.82}}, "accuracy is 0.81, below its bar of 0.82: improve the model, or lower the bar."),
        ({"loss": {"max": 0.2}}, "loss is 0.3, above its bar of 0.2: improve the model, or raise the bar."),
        ({"film": {"accuracy": 0.95}}, "film.accuracy is 0.9, below its bar of 0.95: improve the model, or lower the bar."),
        ({"f1": 0.5}, "[acceptance] has a bar for f1, but [measured] has no such figure: measure it, or remove the bar."),
        ({"book": {"f1": 0.5}}, "[acceptance] has a bar for book.f1, but [measured] has no such figure: measure it, or remove the bar."),
        (
            {"accuracy": {"f1": 0.5}},
            "[acceptance] has a bar for accuracy.f1, but [measured] has no such figure: measure it, or remove the bar.",
        ),
        ({"film": 0.5}, "[acceptance] has a bar for film, but [measured] has no such figure: measure it, or remove the bar."),
        ({"name": 0.5}, "[acceptance] has a bar for name, but [measured] has no such figure: measure it, or remove the bar."),
        ({"checked": 0.5}, "[acceptance] has a bar for checked, but [measured] has no such figure: measure it, or remove the bar."),
        ({"accuracy": ">= 0.8"}, "[acceptance] accuracy = '>= 0.8' is no bar: write a number, the least, or { min = …, max = … }."),
        ({"accuracy": True}, "[acceptance] accuracy = True is no bar: write a number, the least, or { min = …, max = … }."),
        ({"accuracy": {"min": "a"}}, "[acceptance] accuracy = {'min': 'a'} is no bar: write a number, the least, or { min = …, max = … }."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_falls_short_is_told_with_the_cure(acceptance, said):
    assert shortfalls(acceptance) == [said]


def test_a_card_without_figures_clears_no_bar():
    (bar,) = read_bars({"acceptance": {"accuracy": 0.8}})
    assert bar.shortfall is not None


def test_a_card_without_bars_has_none():
    assert read_bars({}) == []

"""Ids: new ones, given ones, and those that last."""

from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import Call
from servelite.runtime.ids import Ids, LastingIds, lasting_id

TEXTS = st.lists(st.text(), max_size=4)


def test_a_stage_has_an_id_of_its_own() -> None:
    numbers = iter(range(9))
    ids = Ids(lambda: 0.0, lambda _: next(numbers))
    assert ids.of_stage(Call("a", "f"), 0) != ids.of_stage(Call("a", "f"), 0)


def test_the_stages_of_a_call_that_comes_again_are_the_same() -> None:
    ids = LastingIds(lambda: 0.0, lambda _: 0)
    assert ids.of_stage(Call("a", "f"), 0) == ids.of_stage(Call("a", "f"), 0)
    assert len({ids.of_stage(Call(call, "f"), number) for call in "ab" for number in range(3)}) == 6


@given(TEXTS, TEXTS)
def test_a_lasting_id_is_that_of_its_texts_alone(one: list[str], other: list[str]) -> None:
    assert (lasting_id(*one) == lasting_id(*other)) == (one == other)
    assert len(lasting_id(*one)) == 32
    assert set(lasting_id(*one)) <= set("0123456789abcdef")


def test_half_a_character_has_an_id_too() -> None:
    assert lasting_id("\ud800") != lasting_id("\ud801")

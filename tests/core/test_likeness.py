import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.likeness import TOLERANCE, difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_value_is_like_itself(value):
    assert difference(value, value, 0) is None


@pytest.mark.parametrize(
    ("expected", "got"),
    [(1.0, 1.0009), (1000.0, 1000.9), (-1.0, -1.0009), (0.0, 0.00009), (0.001, 0.00109), (1, 1.0), ({"a": [0.5]}, {"a": [0.5004]})],
    ids=str,
)
def test_floats_may_be_a_little_apart(expected, got):
    assert difference(expected, got) is None
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (1.0, 1.002, "the output is 1.002, not 1.0 (0.002 apart)"),
        (0.0, 0.0002, "the output is 0.0002, not 0.0 (0.0002 apart)"),
        (1000, 1001, "the output is 1001, not 1000"),
        (True, 1, "the output is 1, not true"),
        (None, 0.0, "the output is 0.0, not null"),
        ({"label": "good"}, {"label": "bad"}, 'label is "bad", not "good"'),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1] is 3, not 2"),
        ([[0.1, 0.2]], [[0.1, 0.9]], "[0][1] is 0.9, not 0.2 (0.7 apart)"),
        ([1], [1, 2], "the output is [1, 2], not [1]"),
        ({"a": 1}, {"b": 1}, 'the output is {"b": 1}, not {"a": 1}'),
        ("x" * 100, "y", f'the output is "y", not "{"x" * 78}…'),
    ],
    ids=str,
)
def test_a_difference_says_where_it_is(expected, got, said):
    assert str(difference(expected, got)) == said


def test_the_largest_difference_is_told():
    found = difference([0.1, 0.2, 0.3], [0.2, 0.9, 0.4])
    assert found is not None
    assert found.where == "[1]"


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_likeness_does_not_depend_on_which_comes_first(one, other):
    assert (difference(one, other) is None) == (difference(other, one) is None)


@given(st.floats(0.1, 1e9), st.floats(1.01, 10))
def test_a_float_further_off_than_the_tolerance_is_found(value, factor):
    assert difference(value, value * (1 + factor * TOLERANCE / (1 - TOLERANCE)))

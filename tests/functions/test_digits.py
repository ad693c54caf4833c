"""functions/digits: what its answers say, what it refuses, and that it is what training makes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.functions.making import CHECKOUT, run_script

from servelite import InvalidInput
from servelite.testing import FunctionClient

FOLDER = CHECKOUT / "functions" / "digits"
SIDE = 28


@pytest.fixture(scope="module")
def digits() -> Iterator[FunctionClient]:
    with FunctionClient(FOLDER) as client:
        yield client


def picture(*strokes: tuple[range, range], level: int = 255) -> dict[str, Any]:
    """Draw rectangles of rows and columns on black."""
    return {"pixels": [[level * any(y in rows and x in columns for rows, columns in strokes) for x in range(SIDE)] for y in range(SIDE)]}


@pytest.mark.parametrize(
    ("strokes", "digit"),
    [
        ([(range(4, 24), range(13, 16))], 1),
        ([(range(4, 7), range(8, 20)), (range(7, 24), range(16, 19))], 7),
        ([(range(4, 24), range(8, 11)), (range(4, 24), range(18, 21)), (range(4, 7), range(8, 21)), (range(21, 24), range(8, 21))], 0),
    ],
    ids=["a stroke is 1", "two strokes are 7", "a frame is 0"],
)
def test_a_drawn_digit_is_read(digits: FunctionClient, strokes: list[tuple[range, range]], digit: int) -> None:
    assert digits.call(picture(*strokes))["digit"] == digit


@pytest.mark.parametrize("level", [0, 255], ids=["black", "white"])
def test_a_picture_of_one_shade_is_refused(digits: FunctionClient, level: int) -> None:
    with pytest.raises(InvalidInput, match=f"All pixels are {level}: there is nothing on the picture"):
        digits.call(picture((range(SIDE), range(SIDE)), level=level))


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        ([[0] * SIDE] * 27, "at least 28 items"),
        ([[0] * 29] + [[0] * SIDE] * 27, r"pixels\[0\]: List should have at most 28 items"),
        ([[256] * SIDE] * SIDE, "less than or equal to 255"),
        ([[0.5] * SIDE] * SIDE, "valid integer"),
    ],
    ids=["a row too few", "a row too long", "a level too high", "half a level"],
)
def test_what_is_no_picture_is_refused_with_its_place(digits: FunctionClient, pixels: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        digits.call({"pixels": pixels})


def test_an_answer_does_not_depend_on_its_batch_mates(digits: FunctionClient) -> None:
    drawn = [picture((range(4, 24), range(at, at + 3))) for at in range(4, 24, 4)]
    digits.check_batches([*(example["input"] for example in digits.examples), *drawn, picture()])


@pytest.mark.training
def test_the_network_learns_by_true_gradients() -> None:
    """Beside the change of the loss itself, at weights that are drawn."""
    np = pytest.importorskip("numpy")
    pytest.importorskip("onnx", reason="installed by `make train`")
    from functions.digits import network

    random = np.random.default_rng(1)
    weights, images, answers = network.draw_weights(random), random.random((3, SIDE, SIDE)), np.array([1, 5, 7])
    found, tiny = network.gradients(weights, images, answers), 1e-5
    for name, values in weights.items():
        place = np.unravel_index(np.abs(found[name]).argmax(), values.shape)
        losses = []
        for step in (tiny, -2 * tiny):
            values[place] += step
            losses.append(network.loss(weights, images, answers))
        values[place] += tiny
        assert found[name][place] == pytest.approx((losses[0] - losses[1]) / (2 * tiny), rel=1e-5)


@pytest.mark.training
def test_training_again_gives_the_same_bytes(tmp_path: Path) -> None:
    run_script("functions.digits.train", "--output", str(tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx").read_bytes() == (FOLDER / "model.onnx").read_bytes()


@pytest.mark.training
def test_the_card_holds_what_is_measured() -> None:
    assert "holds what was measured" in run_script("functions.digits.evaluate", "--check-card")

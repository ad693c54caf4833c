from pathlib import Path

import numpy as np
import pytest

from servelite.core.errors import DefinitionError
from servelite.worker.loader import load
from servelite.worker.onnx import intra_op_threads

MODEL = Path(__file__).parents[2] / "loadtests" / "functions" / "tiny" / "model.onnx"  # float32[n, 64] to float32[n, 10]

OPENER = """
    import numpy as np
    from servelite import function, load_onnx

    model = load_onnx({arguments})

    @function
    def classify(row: list[float]) -> list[float]:
        (found,) = model.run(None, {{"features": np.array([row], dtype=np.float32)}})
        return found[0].tolist()
"""


@pytest.fixture
def open_model(write_function):
    """Return an opener: a function whose handler.py calls load_onnx with these arguments."""

    def opened(arguments: str = "'model.onnx'", content: bytes | None = None, files: dict[str, str] | None = None):
        folder = write_function("classify", OPENER.format(arguments=arguments), files)
        if content is not None:
            (folder / "model.onnx").write_bytes(content)
        return load(folder).handler.run

    return opened


def test_a_model_is_opened_relative_to_its_folder_and_runs(open_model):
    probabilities = open_model(content=MODEL.read_bytes())([0.5] * 64)
    assert len(probabilities) == 10
    assert np.isclose(sum(probabilities), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "threads"),
    [
        pytest.param("'model.onnx'", 3, id="what the worker was started with"),
        pytest.param("'model.onnx', threads=1", 1, id="what the handler says"),
    ],
)
def test_a_model_has_the_threads_of_its_worker_or_its_handler(open_model, arguments, threads):
    token = intra_op_threads.set(3)
    try:
        model = open_model(arguments, MODEL.read_bytes()).__globals__["model"]
    finally:
        intra_op_threads.reset(token)
    options = model.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


def test_a_models_threads_do_not_spin_and_take_a_handlers_settings(open_model):
    model = open_model("'model.onnx', config={'session.disable_prepacking': '1'}", MODEL.read_bytes()).__globals__["model"]
    options = model.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.disable_prepacking") == "1"


def test_a_missing_model_is_told_with_its_folder(open_model):
    with pytest.raises(DefinitionError, match=r"load_onnx\('model\.onnx'\): there is no such file in .*classify\. Put the model there"):
        open_model()


def test_a_missing_model_that_can_be_trained_is_told_how(open_model):
    with pytest.raises(DefinitionError, match=r"Make it with: python .*classify/train\.py"):
        open_model(files={"train.py": ""})


def test_a_missing_model_is_made_as_its_card_says(open_model):
    card = '[model]\nremake = "make models ONLY=classify"\n'
    with pytest.raises(DefinitionError, match=r"Make it with: make models ONLY=classify$"):
        open_model(files={"train.py": "", "card.toml": card})


@pytest.mark.parametrize("card", ["", 'model = "mine"\n', "[model]\n"], ids=["empty", "no table", "no word of it"])
def test_a_card_that_does_not_say_how_is_no_cure(open_model, card):
    with pytest.raises(DefinitionError, match="Put the model there, or mend the name"):
        open_model(files={"card.toml": card})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", id="a pointer to the file"),
        pytest.param(MODEL.read_bytes()[:-100], id="cut short"),
    ],
)
def test_a_model_that_can_not_be_opened_is_a_definition_error(open_model, content):
    with pytest.raises(DefinitionError, match=r"handler\.py:5: load_onnx\('model\.onnx'\): onnxruntime can't open it: "):
        open_model(content=content)


def test_an_unknown_setting_is_a_definition_error(open_model):
    with pytest.raises(DefinitionError, match="onnxruntime can't open it"):
        open_model("'model.onnx', config={'x' * 5000: '1'}", MODEL.read_bytes())

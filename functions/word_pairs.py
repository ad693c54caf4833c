"""Text classifiers of one kind: logistic regression on binary TF-IDF of words and word pairs, the vectoriser inside the ONNX graph.

Each feature is scaled by the square root of its naive Bayes log-count ratio first (after Wang and Manning, 2012), which is folded into
the weights.

Traps that shaped it:
- Texts arrive lower-cased. `lowercase=True` or stop words would put a StringNormalizer with a locale into the graph, which does not load
  on slim images.
- `sublinear_tf=True` converts inexactly.
- In ONNX a word pair scores wrongly if one of its words is not a feature: the vocabulary is explicit and closed.
- ONNX's LinearClassifier rounds a text alone otherwise than in a batch (1e-7), and its Normalizer takes two thirds of the time. So the
  head is written here, in operations that work row by row.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy.sparse import csr_matrix, diags
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

WORD = "[a-z0-9]+"

DECIMALS = 4
"""Weights are rounded to so many, so that another processor's last bits change no byte of the file."""

OPSET = 18


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model of this kind is trained.

    features  words and pairs; a multiple of 16: each row then begins on a 64-byte border, and sums up alike in any batch
    min_texts a word or pair counts from so many texts on
    strength  the regression's C
    bayes     the exponent of the naive Bayes ratio
    """

    features: int = 20_000
    min_texts: int = 2
    strength: float = 4.0
    bayes: float = 0.5


def fit(texts: list[str], labels: np.ndarray, weights: np.ndarray | None = None, shape: Shape = Shape()) -> Pipeline:
    """Fit vectoriser and regression to lower-cased texts and bool[n]; `weights` says how much each text counts."""
    vectoriser = TfidfVectorizer(vocabulary=choose_vocabulary(texts, labels, shape), **_features())
    tfidf = vectoriser.fit_transform(texts)
    vectoriser.idf_ = vectoriser.idf_.round(DECIMALS)
    scale = _bayes_ratio(tfidf, labels) ** shape.bayes
    regression = LogisticRegression(C=shape.strength, solver="newton-cg", tol=1e-10, max_iter=1000)
    regression.fit(vectoriser.transform(texts) @ diags(scale), labels, weights)
    regression.coef_ = (regression.coef_ * scale).round(DECIMALS)
    regression.intercept_ = regression.intercept_.round(DECIMALS)
    return make_pipeline(vectoriser, regression)


def choose_vocabulary(texts: list[str], labels: np.ndarray, shape: Shape) -> list[str]:
    """Return the words of the texts and their pairs that tell the labels apart best, sorted: all words, if there is room."""
    counter = CountVectorizer(min_df=shape.min_texts, **_features())
    counts = counter.fit_transform(texts)
    worth = _chi_squared(counts, labels).round(6)
    ranked = sorted((" " in term, -worth[index], term) for term, index in counter.vocabulary_.items())
    chosen = {term for _, _, term in ranked[: shape.features]}
    if any(word not in chosen for term in chosen for word in term.split(" ")):
        raise SystemExit(f"A word of a chosen pair is not chosen itself: raise features ({shape.features}) or min_texts.")
    return sorted(chosen)


def convert(pipeline: Pipeline, name: str, output: str) -> bytes:
    """Return the pipeline as ONNX: text string[n] to `output` float32[n] (a probability) and known bool[n].

    known is false where a text has no feature at all; the probability is then NaN.
    """
    # The head divides by the row's length, once for the sum instead of for each feature.
    vectoriser, regression = deepcopy(pipeline[0]).set_params(norm=None), pipeline[-1]
    model = to_onnx(vectoriser, initial_types=[("text", StringTensorType([None]))], target_opset=OPSET)
    _add_head(model.graph, regression.coef_[0], float(regression.intercept_[0]), output)
    model.graph.name, model.producer_name, model.producer_version = name, "", ""
    model.opset_import.sort(key=lambda opset: opset.domain)  # the converter lists them in a set's order, which changes from run to run
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _features() -> dict[str, object]:
    """Return how a text becomes features, for scikit-learn's vectorisers."""
    return {"binary": True, "ngram_range": (1, 2), "token_pattern": WORD, "lowercase": False}


def _chi_squared(counts: csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Return float[features]: how far each feature's share of texts with the label is from chance, squared."""
    in_positive, in_all = _count_texts(counts[labels]), _count_texts(counts)
    share = labels.mean()
    return np.asarray((in_positive - share * in_all) ** 2 / (share * (1 - share) * in_all))


def _bayes_ratio(tfidf: csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Return float[features]: the size of the log ratio of a feature's share in texts with and without the label."""
    in_positive, in_negative = 1.0 + _count_texts(tfidf[labels]), 1.0 + _count_texts(tfidf[~labels])
    return np.asarray(np.abs(np.log(in_positive / in_positive.sum()) - np.log(in_negative / in_negative.sum())))


def _count_texts(rows: csr_matrix) -> np.ndarray:
    """Return int[features]: in how many texts each feature is."""
    return np.asarray(rows.getnnz(axis=0))


def _add_head(graph: onnx.GraphProto, weights: np.ndarray, bias: float, output: str) -> None:
    """Append output = sigmoid(tfidf . weights / |tfidf| + bias) and known = |tfidf| > 0."""
    constants = {"weights": weights, "bias": np.array(bias), "zero": np.array(0.0)}
    graph.initializer.extend(numpy_helper.from_array(a.astype(np.float32), name) for name, a in constants.items())
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "row"))
    tfidf = graph.output.pop().name
    graph.node.extend(
        [
            helper.make_node("Mul", [tfidf, "weights"], ["parts"]),
            helper.make_node("ReduceSum", ["parts", "row"], ["sum"], keepdims=0),
            helper.make_node("ReduceL2", [tfidf, "row"], ["length"], keepdims=0),
            helper.make_node("Div", ["sum", "length"], ["mean"]),
            helper.make_node("Add", ["mean", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], [output]),
            helper.make_node("Greater", ["length", "zero"], ["known"]),
        ]
    )
    for name, kind in ((output, onnx.TensorProto.FLOAT), ("known", onnx.TensorProto.BOOL)):
        graph.output.append(helper.make_tensor_value_info(name, kind, [None]))

"""Make model.onnx again from scratch: the same bytes each time, from pinned packages.

The model is a logistic regression on binary TF-IDF of words and word pairs. Each feature is scaled by the square
root of its naive Bayes log-count ratio first (after Wang and Manning, 2012), which is folded into the weights.

Traps that shaped it:
- Texts arrive lower-cased. `lowercase=True` or stop words would put a StringNormalizer with a locale into the
  graph, which does not load on slim images.
- `sublinear_tf=True` converts inexactly.
- In ONNX a word pair scores wrongly if one of its words is not a feature: the vocabulary is explicit and closed.
- ONNX's LinearClassifier rounds a text alone otherwise than in a batch (1e-7), and its Normalizer takes two
  thirds of the time. So the head is written here, in operations that work row by row.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy.sparse import csr_matrix, diags
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from functions.cards import write_artefact
from functions.sentiment.corpora import HERE, Sentence, hash_part, load_corpora

WORD = "[a-z0-9]+"
FEATURES = 20_000
"""A multiple of 16: each row of features then begins on a 64-byte border, and sums up alike in any batch."""

MIN_TEXTS = 2
"""A word or pair counts from so many texts on."""

MEAN_RATING = 1.5
"""About the mean size of a rating: weights are around 1, and C means what it usually does."""

DECIMALS = 4
"""Weights are rounded to so many, so that another processor's last bits change no byte of the file."""

OPSET = 18


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen among; the defaults are the best of `--choose`.

    strength  the regression's C
    bayes     the exponent of the naive Bayes ratio
    others    the weight of a tweet or product sentence beside that of a film review, of which there are most
    """

    strength: float = 4.0
    bayes: float = 0.5
    others: float = 2.0


def fit(train: Sequence[Sentence], settings: Settings = Settings()) -> Pipeline:
    """Fit vectoriser and regression; the pipeline takes lower-cased texts."""
    texts, positive = lower(train), np.array([s.positive for s in train])
    vectoriser = TfidfVectorizer(vocabulary=choose_vocabulary(texts, positive), **features())
    tfidf = vectoriser.fit_transform(texts)
    vectoriser.idf_ = vectoriser.idf_.round(DECIMALS)
    scale = bayes_ratio(tfidf, positive) ** settings.bayes
    regression = LogisticRegression(C=settings.strength, solver="newton-cg", tol=1e-10, max_iter=1000)
    regression.fit(vectoriser.transform(texts) @ diags(scale), positive, weigh(train, settings))
    regression.coef_ = (regression.coef_ * scale).round(DECIMALS)
    regression.intercept_ = regression.intercept_.round(DECIMALS)
    return make_pipeline(vectoriser, regression)


def lower(sentences: Iterable[Sentence]) -> list[str]:
    """Return the texts as the handler sends them to the model."""
    return [s.text.lower() for s in sentences]


def features() -> dict[str, object]:
    """Return how a text becomes features, for scikit-learn's vectorisers."""
    return {"binary": True, "ngram_range": (1, 2), "token_pattern": WORD, "lowercase": False}


def weigh(train: Sequence[Sentence], settings: Settings) -> np.ndarray:
    """Return float[n]: a sentence counts as much as its rating is clear (Rotten Tomatoes has no degrees: 1)."""
    many = {"tweets": settings.others, "amazon": settings.others}
    return np.array([abs(s.rating) / MEAN_RATING * many.get(s.corpus, 1.0) for s in train])


def choose_vocabulary(texts: list[str], positive: np.ndarray) -> list[str]:
    """Return all words of the texts, and the word pairs that tell positive from negative best, sorted."""
    counter = CountVectorizer(min_df=MIN_TEXTS, **features())
    counts = counter.fit_transform(texts)
    worth = chi_squared(counts, positive).round(6)
    ranked = sorted((" " in term, -worth[index], term) for term, index in counter.vocabulary_.items())
    chosen = {term for _, _, term in ranked[:FEATURES]}
    if any(word not in chosen for term in chosen for word in term.split(" ")):
        raise SystemExit(f"A word of a chosen pair is not chosen itself: raise FEATURES ({FEATURES}) or MIN_TEXTS.")
    return sorted(chosen)


def chi_squared(counts: csr_matrix, positive: np.ndarray) -> np.ndarray:
    """Return float[features]: how far each feature's share of positive texts is from chance, squared."""
    in_positive, in_all = count_texts(counts[positive]), count_texts(counts)
    share = positive.mean()
    return np.asarray((in_positive - share * in_all) ** 2 / (share * (1 - share) * in_all))


def bayes_ratio(tfidf: csr_matrix, positive: np.ndarray) -> np.ndarray:
    """Return float[features]: the size of the log ratio of a feature's share in positive and negative texts."""
    in_positive, in_negative = 1.0 + count_texts(tfidf[positive]), 1.0 + count_texts(tfidf[~positive])
    return np.asarray(np.abs(np.log(in_positive / in_positive.sum()) - np.log(in_negative / in_negative.sum())))


def count_texts(rows: csr_matrix) -> np.ndarray:
    """Return int[features]: in how many texts each feature is."""
    return np.asarray(rows.getnnz(axis=0))


def convert(pipeline: Pipeline) -> bytes:
    """Return the pipeline as ONNX: text string[n] to positive float32[n] (a probability) and known bool[n].

    known is false where a text has no feature at all; positive is then NaN.
    """
    # The head divides by the row's length, once for the sum instead of for each feature.
    vectoriser, regression = deepcopy(pipeline[0]).set_params(norm=None), pipeline[-1]
    model = to_onnx(vectoriser, initial_types=[("text", StringTensorType([None]))], target_opset=OPSET)
    add_head(model.graph, regression.coef_[0], float(regression.intercept_[0]))
    model.graph.name, model.producer_name, model.producer_version = "sentiment", "", ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def add_head(graph: onnx.GraphProto, weights: np.ndarray, bias: float) -> None:
    """Append positive = sigmoid(tfidf . weights / |tfidf| + bias) and known = |tfidf| > 0."""
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
            helper.make_node("Sigmoid", ["logit"], ["positive"]),
            helper.make_node("Greater", ["length", "zero"], ["known"]),
        ]
    )
    for name, kind in (("positive", onnx.TensorProto.FLOAT), ("known", onnx.TensorProto.BOOL)):
        graph.output.append(helper.make_tensor_value_info(name, kind, [None]))


def print_choice(train: Sequence[Sentence]) -> None:
    """Print the accuracies of each setting on four folds of the training sentences; no test sentence is used."""
    print("   C  bayes others   movie amazon tweets   mean")
    for chosen in product((2.0, 4.0, 8.0), (0.0, 0.5, 1.0), (1.0, 2.0)):
        right = cross_validate(train, Settings(*chosen))
        means = [np.mean([right[s.key] for s in train if s.corpus == name]) for name in ("movie", "amazon", "tweets")]
        print("{:4} {:6} {:6}".format(*chosen), " ", *(f"{mean:6.4f}" for mean in (*means, np.mean(means))))


def cross_validate(train: Sequence[Sentence], settings: Settings) -> dict[str, bool]:
    """Return for each sentence's key whether a model that did not learn from its fold is right."""
    right: dict[str, bool] = {}
    for fold in range(4):
        judge = [s for s in train if hash_part(s.key, 1) % 4 == fold]
        pipeline = fit([s for s in train if hash_part(s.key, 1) % 4 != fold], settings)
        said = pipeline.predict(lower(judge))
        right |= {s.key: bool(answer) == s.positive for s, answer in zip(judge, said, strict=True)}
    return right


def main() -> int:
    """Write the model, print its hash, and return 1 if the card says another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "model.onnx", help="the file to write")
    parser.add_argument("--choose", action="store_true", help="only compare settings, on a part of the training split")
    asked = parser.parse_args()
    train = load_corpora().train
    if asked.choose:
        print_choice(train)
        return 0
    print(f"Learnt from {len(train)} sentences.")
    return write_artefact(asked.output, convert(fit(train)), HERE)


if __name__ == "__main__":
    sys.exit(main())

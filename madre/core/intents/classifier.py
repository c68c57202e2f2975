"""How likely each intent is: a linear model over words and letters, joined by one over the sentence's meaning where words leave doubt."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from config.contracts.madre import IntentName
from madre.core.intents.embeddings import Vector
from madre.core.intents.features import grams

WEIGHTS = Path(__file__).with_name("weights.npz")

Floats = npt.NDArray[np.float64]


def gram_keys(message: str) -> dict[str, Counter[int]]:
    """How often each n-gram occurs in a message, by block; n-grams as CRC-32, the same on every machine."""
    return {
        block: Counter(crc32(f"{block}{gram}".encode()) for gram in found) for block, found in grams(message).items()
    }


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Probabilities over the intents, and whether the meaning had a say in them."""

    names: tuple[IntentName, ...]
    values: Floats
    used_meaning: bool

    def ranked(self) -> list[tuple[IntentName, float]]:
        """Likeliest first; ties in the order of the names."""
        order = np.argsort(-self.values, kind="stable")
        return [(self.names[place], float(self.values[place])) for place in order]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on a reading counts, learnt on authors the model had not seen."""

    words_sure: float
    """Words alone are so sure that the meaning need not be asked."""
    words: float
    """Words alone, where no embedding model can be loaded."""
    both: float
    risky: float
    """For an intent that can do harm; at least the above."""


class Classifier:
    """Read-only tables; every method may be called from any thread."""

    def __init__(self, path: Path = WEIGHTS) -> None:
        """Raises FileNotFoundError or KeyError if the weights are missing or not of this shape."""
        with np.load(path, allow_pickle=False) as stored:
            self.names = tuple(IntentName(str(name)) for name in stored["names"])
            self._keys: npt.NDArray[np.uint32] = stored["keys"]
            self._idf: Floats = stored["idf"].astype(np.float64)
            self._coef: npt.NDArray[np.int8] = stored["coef"]
            self._scale: Floats = stored["scale"].astype(np.float64)
            self._bias: Floats = stored["bias"].astype(np.float64)
            self._meaning_coef: Floats = stored["meaning_coef"].astype(np.float64)
            self._meaning_bias: Floats = stored["meaning_bias"].astype(np.float64)
            self._sharpness_words, self._sharpness_both, self._share_of_meaning = (
                float(value) for value in stored["joining"]
            )
            self.thresholds = Thresholds(*(float(value) for value in stored["thresholds"]))

    def by_words(self, message: str) -> tuple[Likelihoods, Floats]:
        """Probabilities by words alone, and the log probabilities that `with_meaning` goes on from."""
        logs = _log_softmax(self._word_scores(message))
        return Likelihoods(self.names, np.exp(_log_softmax(logs * self._sharpness_words)), used_meaning=False), logs

    def with_meaning(self, word_logs: Floats, meaning: Vector) -> Likelihoods:
        """Probabilities by words and meaning together: the weighted geometric mean of the two, sharpened to be honest."""
        meaning_logs = _log_softmax(meaning.astype(np.float64) @ self._meaning_coef + self._meaning_bias)
        mean = (1 - self._share_of_meaning) * word_logs + self._share_of_meaning * meaning_logs
        return Likelihoods(self.names, np.exp(_log_softmax(mean * self._sharpness_both)), used_meaning=True)

    def _word_scores(self, message: str) -> Floats:
        scores = self._bias.copy()
        for counts in gram_keys(message).values():
            rows, values = tf_idf(counts, self._keys, self._idf)
            scores += (values @ self._coef[rows].astype(np.float64)) * self._scale
        return scores


def tf_idf(counts: Counter[int], keys: npt.NDArray[np.uint32], idf: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Rows of the known n-grams of one block and their weights: (1 + ln tf) * idf, of Euclidean length 1."""
    said = np.fromiter(counts, dtype=np.uint32, count=len(counts))
    often = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))
    at = np.minimum(np.searchsorted(keys, said), len(keys) - 1)
    known = keys[at] == said
    rows, often = at[known], often[known]
    values = (1.0 + np.log(often)) * idf[rows]
    length = float(np.sqrt(values @ values))
    return rows, values / length if length else values


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max()
    result: Floats = shifted - np.log(np.exp(shifted).sum())
    return result


@lru_cache(maxsize=1)
def default_classifier() -> Classifier:
    """The classifier with the weights of this release, loaded once."""
    return Classifier()

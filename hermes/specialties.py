"""Which of the first eight specialties a model is good at, guessed from what its source says of it. Pure.

A guess for sorting and filtering; people set the specialty of a model they keep.
"""

import re
from collections.abc import Collection

CODE = "code"
TEXT = "text_generation"

PIPELINES: dict[str, tuple[str, ...]] = {
    "translation": ("translation",),
    "summarization": ("summarization",),
    "embedding": ("feature-extraction", "sentence-similarity", "text-ranking"),
    "audio": (
        "automatic-speech-recognition", "text-to-speech", "text-to-audio", "audio-to-audio", "audio-classification",
        "audio-text-to-text", "voice-activity-detection",
    ),
    "vision": (
        "image-text-to-text", "image-to-text", "text-to-image", "image-to-image", "image-classification", "image-segmentation",
        "image-feature-extraction", "object-detection", "zero-shot-image-classification", "zero-shot-object-detection",
        "depth-estimation", "visual-question-answering", "visual-document-retrieval", "mask-generation", "keypoint-detection",
        "text-to-video", "image-to-video", "video-classification", "video-text-to-text", "unconditional-image-generation",
    ),
    "analysis": (
        "text-classification", "token-classification", "zero-shot-classification", "question-answering",
        "table-question-answering", "document-question-answering", "tabular-classification", "tabular-regression",
        "time-series-forecasting",
    ),
    TEXT: ("text-generation", "text2text-generation", "any-to-any", "fill-mask"),
    CODE: ("text-generation",),
}  # fmt: skip
"""The hub's tasks that belong to a specialty, the most telling one first. Code has none of its own: its words tell it."""
_BY_PIPELINE = {task: specialty for specialty, tasks in reversed(PIPELINES.items()) for task in tasks}
_CODE_WORDS = re.compile(
    r"code(?:s|gen|gemma|llama|qwen|shell)?\d*|coding|codestral|(?:star|open|deep|qwen|stable|granite)?coder\d*|sql(?:coder)?\d*"
    r"|programming|copilot"
)
_ANALYSIS_WORDS = frozenset({"reasoning", "math", "maths"})
_WORD = re.compile(r"[^\W_]+")


def words_of(*texts: str) -> set[str]:
    """The words of names and tags, in lower case, those within compounds such as `Qwen2.5-Coder` on their own."""
    return {word.lower() for text in texts for word in _WORD.findall(text)}


def specialty_of(model_id: str, tags: Collection[str], pipeline_tag: str | None) -> str | None:
    """One of the eight, or None where nothing tells."""
    by_task = _BY_PIPELINE.get(pipeline_tag or "")
    if by_task not in (None, TEXT):
        return by_task
    words = words_of(
        model_id, *(tag for tag in tags if ":" not in tag)
    )  # `license:…`, `dataset:…` tell of something else
    if any(_CODE_WORDS.fullmatch(word) for word in words):
        return CODE
    for specialty in ("translation", "summarization"):
        if specialty in words:
            return specialty
    if by_task is None and words & {"embedding", "embeddings"}:
        return "embedding"
    if words & _ANALYSIS_WORDS:
        return "analysis"
    return by_task


def is_of(specialty: str, guessed: str | None, model_id: str, tags: Collection[str]) -> bool:
    """Whether a model belongs to a specialty: guessed so, or, for one that people added, all words of its name are the model's too."""
    return guessed == specialty or (
        specialty not in PIPELINES and words_of(*specialty.split("_")) <= words_of(model_id, *tags)
    )

"""What a tool says when it fails, without what looks like a key: its profile's variables are secrets that we do not know."""

import re

from config.log import SECRET_VALUES

HIDDEN = "[redacted]"
ASSIGNED = re.compile(r"(?i)(\b\w*(?:key|token|secret|password|credential)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+")
OPAQUE = re.compile(r"\b(?=[\w+=.-]*\d)(?=[\w+=.-]*[A-Za-z])[\w+=.-]{24,}")
"""Long runs of letters and digits: no word of an error, and most keys."""


def without_secrets(text: str) -> str:
    return OPAQUE.sub(HIDDEN, ASSIGNED.sub(rf"\g<1>{HIDDEN}", SECRET_VALUES.sub(HIDDEN, text)))

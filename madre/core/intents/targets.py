"""What a request is about: the service that owns it, or the service that was named."""

import re
from typing import Any

from config.contracts.madre import IntentName
from madre.core.intents.catalog import CATALOG
from madre.core.intents.text import plain

_NAMED_SERVICE = frozenset({IntentName.FLEET_STATUS, IntentName.REPAIR_MODULE, IntentName.AUDIT_DRIFT})
_OWNERS: tuple[tuple[str, str], ...] = (
    (r"\bmodel(?:o|os|s)?\b|\bweights\b|\bpesos\b|\.gguf\b", "hermes_db"),
    (r"\b(?:sesion(?:es)?|sessions?|plan(?:es|s)?|conversaci\w+|historial|history)\b", "madre"),
    (
        r"\.(?:wav|flac|mp3|ogg)\b|\b(?:assets?|audios?|stems?|pistas?|tracks?|tomas?|takes?|mezclas?|mix(?:es)?|masters?|bounces?|grabaci\w+|recordings?|samples?)\b",
        "shub",
    ),
)


def target_of(name: IntentName, message: str, params: dict[str, Any]) -> str | None:
    """The module a request goes to or speaks of; None where the message does not say, so that it must be asked."""
    if name in _NAMED_SERVICE and params.get("services"):
        return str(params["services"][0])
    if name is not IntentName.DELETE_RESOURCE:
        return CATALOG[name].target
    if params.get("asset_ids"):
        return "shub"
    text = plain(message)
    if params.get("models"):
        return "hermes_db"
    return next((owner for pattern, owner in _OWNERS if re.search(pattern, text)), None)

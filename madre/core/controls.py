"""What `/madre/control` understands: which target and action are which intent. Data, and the function that reads it."""

from typing import Any

from config.settings import SERVICES
from madre.core.intents.catalog import CATALOG
from madre.core.models import IntentName, IntentV2
from madre.errors import UnknownControl

CONTROLS: dict[tuple[str, str], IntentName] = {
    ("shub", "delete"): IntentName.DELETE_RESOURCE,
    ("shub", "mix"): IntentName.AUDIO_MIX,
    ("shub", "analyze"): IntentName.AUDIO_ANALYZE,
    ("switch", "ask"): IntentName.GENERAL_QUESTION,
    ("switch", "ask_code"): IntentName.CODE_QUESTION,
    ("hermes", "search"): IntentName.SEARCH_MODELS,
    ("hermes", "download"): IntentName.DOWNLOAD_MODEL,
    ("hermes", "delete_model"): IntentName.DELETE_RESOURCE,
    ("hermes", "maintenance"): IntentName.DELETE_RESOURCE,
    ("hermes", "list_models"): IntentName.LIST_MODELS,
    ("hermes", "list_clis"): IntentName.LIST_CLIS,
    ("hermes_db", "list_models"): IntentName.LIST_MODELS,
    ("hermes_db", "list_clis"): IntentName.LIST_CLIS,
    ("spawner", "run"): IntentName.RUN_PROCESS,
    ("spawner", "status"): IntentName.PROCESS_STATUS,
    ("spawner", "kill"): IntentName.KILL_PROCESS,
    ("madre", "status"): IntentName.FLEET_STATUS,
    ("madre", "plans"): IntentName.PROCESS_STATUS,
    ("madre", "help"): IntentName.HELP,
}


def intent_of(target: str, action: str, params: dict[str, Any]) -> IntentV2:
    """The intent that a structured request names. Raises UnknownControl with what there is instead."""
    name = CONTROLS.get((target, action))
    if name is None:
        actions = sorted(known for owner, known in CONTROLS if owner == target)
        there = (
            f"{target} has {', '.join(actions)}"
            if actions
            else f"targets are {', '.join(sorted({t for t, _ in CONTROLS}))}"
        )
        fleet = "" if target in SERVICES else f"; {target} is not a service of this fleet"
        raise UnknownControl(f"{target} has no action {action}{fleet}: {there}")
    return IntentV2(
        name=name,
        domain=CATALOG[name].domain,
        action=action,
        target=target,
        params=params,
        language="es" if params.get("language") == "es" else "en",
        source="structured",
    )

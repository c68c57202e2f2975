"""What is asked of hermes and the registry before a plan about models is made: it must name what it will do."""

from dataclasses import replace

from config.errors import FleetError
from madre.core import model_plans
from madre.core.delegation import Delegation
from madre.core.draft import Known
from madre.core.models import IntentName, IntentV2


async def about_models(intent: IntentV2, known: Known, delegation: Delegation, limit_bytes: int) -> Known:
    """What is known, with the models that a download could mean, or those of the registry for a removal; else as it was.

    A neighbour that is unwell is not an error: `unheard` says why nothing is known. Raises InvalidRequest for structured parameters
    that hermes would refuse.
    """
    request = None
    if intent.name is IntentName.DOWNLOAD_MODEL:
        request = model_plans.search_of(intent, limit_bytes=limit_bytes, listed=known.listed)
    try:
        if intent.name is IntentName.DOWNLOAD_MODEL:
            found = None if request is None else await delegation.find_models(request)
            return replace(known, found=found, download_limit_bytes=limit_bytes)
        if intent.action == model_plans.UPKEEP:
            return replace(known, upkeep=await delegation.planned_upkeep())
        if model_plans.names_a_model(intent):
            return replace(known, kept=await delegation.kept_models())
    except FleetError as error:
        if error.status == 422 and intent.source == "structured":
            raise
        return replace(known, unheard=error)
    return known

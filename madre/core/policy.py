"""How dangerous an intent is, why, and whether madre asks first. Values in, verdict out; no I/O.

The table is data: a reader can check every row. LOW starts at once. MED starts at once and says what it did, or asks with a plain
question where it downloads, spends money or takes long. HIGH waits for its one-use token.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from madre.core.models import IntentName, IntentV2, PlanV2, RiskLevel, StatusEnum

LOW, MED, HIGH = RiskLevel.LOW, RiskLevel.MED, RiskLevel.HIGH


@dataclass(frozen=True)
class Rule:
    """One row of the table: the risk, whether a MED asks first, and the reason in both languages."""

    risk: RiskLevel
    asks: bool
    es: str
    en: str


@dataclass(frozen=True)
class Verdict:
    """What policy says about one intent."""

    risk: RiskLevel
    asks: bool
    reason: str


READS = Rule(LOW, False, "solo lee; no cambia nada", "it only reads; nothing is changed")
MAKES = Rule(
    LOW,
    False,
    "crea un archivo nuevo; los originales no se tocan",
    "it makes a new file; the originals stay as they are",
)
RULES: dict[IntentName, Rule] = {
    IntentName.AUDIO_MIX: MAKES,
    IntentName.AUDIO_EFFECTS: MAKES,
    IntentName.AUDIO_MASTER: MAKES,
    IntentName.AUDIO_EXPORT: MAKES,
    IntentName.AUDIO_UNDO: Rule(
        LOW,
        False,
        "vuelve a una versión anterior; ninguna se borra",
        "it goes back to an earlier version; none is deleted",
    ),
    IntentName.AUDIO_ANALYZE: READS,
    IntentName.PROCESS_STATUS: READS,
    IntentName.LIST_MODELS: READS,
    IntentName.SEARCH_MODELS: READS,
    IntentName.LIST_CLIS: READS,
    IntentName.SCAN_SYSTEM: READS,
    IntentName.FLEET_STATUS: READS,
    IntentName.AUDIT_DRIFT: READS,
    IntentName.CODE_QUESTION: READS,
    IntentName.GENERAL_QUESTION: READS,
    IntentName.HELP: READS,
    IntentName.UNCLEAR: READS,
    IntentName.DOWNLOAD_MODEL: Rule(MED, True, "descarga y ocupa disco", "it downloads and takes disk space"),
    IntentName.RUN_PROCESS: Rule(
        HIGH, True, "ejecuta un programa en esta máquina", "it runs a program on this machine"
    ),
    IntentName.KILL_PROCESS: Rule(
        HIGH, True, "detiene un proceso; su trabajo se pierde", "it stops a process; its work is lost"
    ),
    IntentName.REPAIR_MODULE: Rule(HIGH, True, "cambia un servicio en marcha", "it changes a running service"),
    IntentName.DELETE_RESOURCE: Rule(
        HIGH, True, "borra algo que no se puede recuperar", "it deletes something that cannot be brought back"
    ),
}
LONG = Rule(MED, True, "lleva bastante tiempo", "it takes a good while")


def classify_risk(intent: IntentV2, *, takes_long: bool = False) -> Verdict:
    """The verdict on an intent; work that takes long is at least MED and asks first."""
    rule = RULES[intent.name]
    if takes_long and rule.risk is LOW:
        rule = LONG
    return Verdict(rule.risk, rule.asks, rule.es if intent.language == "es" else rule.en)


def initial_status(verdict: Verdict) -> StatusEnum:
    """Whether a plan may start at once (PENDING) or waits for a person (WAITING)."""
    return StatusEnum.WAITING if verdict.risk is HIGH or (verdict.risk is MED and verdict.asks) else StatusEnum.PENDING


def waits_for_a_person(task: Any) -> bool:
    """Whether a plan's row waits to be confirmed. One that waits for a daughter has no time at which its confirmation expires."""
    return task.status == StatusEnum.WAITING and task.confirm_expires_at is not None


def plan_hash(plan: PlanV2) -> str:
    """SHA-256 of what a plan would do: its steps in order with their exact parameters."""
    content = [plan.plan_id, [[step.step_id, step.operation, step.params] for step in plan.steps]]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def confirm_token(key: bytes, *, plan_id: str, caller: str) -> str:
    """The one-use token of a plan: HMAC-SHA256 under a key of the fleet's own.

    It can be told again to whoever asks again with the same Idempotency-Key, without being kept anywhere. It never begins with a dash,
    which a command line would take for an option.
    """
    signed = hmac.digest(key, "\n".join((plan_id, caller)).encode("utf-8", "surrogatepass"), "sha256")
    return "c" + base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def confirm_hash(token: str, *, plan_id: str, plan_hash: str, caller: str) -> str:
    """How a confirm token is kept: hashed together with the plan, what it would do, and whose it is."""
    return hashlib.sha256("\n".join((token, plan_id, plan_hash, caller)).encode("utf-8", "surrogatepass")).hexdigest()


def refusal_of(task: Any, token: str | None, *, caller: str, hash_now: str, now: datetime) -> str | None:
    """Why this token does not open this plan, or None if it does. `task` is the plan's row; the comparison takes constant time."""
    if task.caller != caller:
        return "this plan waits for the confirmation of the caller that asked for it"
    if not waits_for_a_person(task):
        return "this plan does not wait for a confirmation: it was confirmed before, cancelled, or never needed one"
    if task.confirm_expires_at <= now:
        return "the time to confirm this plan has passed; ask for it again"
    if not hmac.compare_digest(hash_now, task.plan_hash):
        return "this plan is no longer what was shown"
    if task.confirm_hash is None:
        return None  # a MED plan: a plain yes is enough
    if token is None:
        return "this plan needs its confirm_token"
    given = confirm_hash(token, plan_id=task.id, plan_hash=hash_now, caller=caller)
    return None if hmac.compare_digest(given, task.confirm_hash) else "the confirm token is wrong"

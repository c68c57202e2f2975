"""What switch takes and answers beside OpenAI's API."""

from typing import Literal

from pydantic import Field

from config.contracts.common import Wire

Priority = Literal["SYSTEM_CRITICAL", "USER_INTERACTIVE", "BATCH_PROCESSING", "BACKGROUND"]


class RouteRequest(Wire):
    """A prompt for whichever model answers it best within the limits."""

    prompt: str = Field(min_length=1, max_length=65_536, examples=["what does a compressor do?"])
    task_type: str | None = Field(None, max_length=64)
    max_latency_ms: int | None = Field(None, ge=1, le=600_000)
    max_cost_usd: float | None = Field(None, ge=0.0)
    priority: Priority = "USER_INTERACTIVE"
    session_id: str | None = Field(None, max_length=128)


class RouteReply(Wire):
    """The answer, which model gave it, and why that one."""

    decision_id: str
    answer: str
    model: str
    provider: str
    reason: str
    cost_usd: float | None = None
    latency_ms: float
    queue_ms: float

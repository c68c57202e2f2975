"""Madre's own settings."""

from datetime import timedelta

from pydantic import Field

from config.settings import FleetSettings


class MadreSettings(FleetSettings):
    """How long madre waits, remembers and retries."""

    madre_confirm_ttl: timedelta = timedelta(minutes=10)
    """How long a dangerous plan waits for its confirmation; ISO 8601 duration."""
    madre_question_ttl: timedelta = timedelta(hours=24)
    """How long a question in a session waits for its answer; ISO 8601 duration."""
    madre_cycle: timedelta = timedelta(seconds=30)
    """Period of the upkeep cycle (expired plans, old idempotency keys); ISO 8601 duration."""
    madre_step_timeout: timedelta = timedelta(minutes=2)
    """How long one ordinary step may take; jobs that report progress have their own limit. ISO 8601 duration."""
    madre_job_timeout: timedelta = timedelta(hours=6)
    """How long a step that is a job (a mix) may take; ISO 8601 duration."""
    madre_step_attempts: int = Field(6, ge=1, le=20)
    """How often a step is tried while its service cannot be reached."""
    madre_many_stems: int = Field(24, ge=2)
    """From so many stems on, a mix takes long enough to ask first."""
    madre_engine_polling_seconds: float = Field(1.0, ge=0.01, le=60.0)
    """How often the durable engine looks at its own tables; plans do not wait for it."""
    madre_second_reading: bool = True
    """Whether an unclear message is read a second time by a provider's model, where one is configured (it may cost money)."""

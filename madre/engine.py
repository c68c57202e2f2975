"""The durable engine behind a thin port, so that it can be exchanged: a plan that was started is carried to its end.

`DbosEngine` runs one DBOS workflow per plan, with the plan's id as its own. DBOS keeps its tables apart (a second SQLite file, or
the schema `dbos`). Its defaults do not suit us, so they are set here: WAL and synchronous NORMAL on our own SQLAlchemy engine (DBOS
sets neither), a fixed application version (the default is a hash of the code: plans of yesterday's code would not be recovered), a
fixed executor id, slow polling.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal, Protocol

import sqlalchemy
from dbos import DBOS, SetWorkflowID
from sqlalchemy import event

from madre.settings import MadreSettings

PLANS_VERSION = "plans-1"
"""Changes only together with a plan for the workflows that are under way."""
EXECUTOR = "madre"
MOST_RECOVERIES = 1_000
FORGOTTEN_AT_ONCE = 200

PlanBody = Callable[[str], Awaitable[None]]
"""Carries one plan out. After a kill it is called again and finds out by itself what is done: `plan_steps` tells."""


class Engine(Protocol):
    """Carries plans to their end."""

    async def open(self, body: PlanBody) -> None:
        """Start, and carry on the plans that a kill interrupted."""

    async def start(self, plan_id: str) -> None:
        """Carry this plan out; a plan that was started before is not started twice."""

    async def state(self, plan_id: str) -> Literal["carried", "ended"] | None:
        """Whether this plan is being carried out or has ended; None when it was never started."""

    async def forget(self, before: datetime) -> None:
        """Drop what is kept of plans that ended before that time."""

    async def close(self) -> None:
        """Stop. Plans that are under way are carried on by the next `open`."""


class DbosEngine:
    """The engine on DBOS. There can be one per process, since DBOS is one."""

    def __init__(self, settings: MadreSettings) -> None:
        self._settings = settings
        self._workflow: Callable[[str], Any] | None = None

    async def open(self, body: PlanBody) -> None:
        url = self._url()
        engine = _sqlite_engine(url) if url.startswith("sqlite") else None
        DBOS(
            config={
                "name": "vx11",
                "system_database_url": url,
                "system_database_engine": engine,
                "application_version": PLANS_VERSION,
                "executor_id": EXECUTOR,
                "enable_otlp": False,
                "log_level": "ERROR",  # its warnings print the arguments of steps
                "notification_listener_polling_interval_sec": self._settings.madre_engine_polling_seconds,
                "scheduler_polling_interval_sec": 3600.0,
            }
        )

        async def run_plan(plan_id: str) -> None:
            await body(plan_id)

        self._workflow = DBOS.workflow(name="run_plan", max_recovery_attempts=MOST_RECOVERIES)(run_plan)
        DBOS.launch()  # inside the running loop, so that carried-on plans run on it too

    async def start(self, plan_id: str) -> None:
        assert self._workflow is not None, "open() comes first"
        with SetWorkflowID(plan_id):
            await DBOS.start_workflow_async(self._workflow, plan_id)

    async def state(self, plan_id: str) -> Literal["carried", "ended"] | None:
        status = await DBOS.get_workflow_status_async(plan_id)
        if status is None:
            return None
        return "carried" if status.status in ("PENDING", "ENQUEUED", "DELAYED") else "ended"

    async def forget(self, before: datetime) -> None:
        while True:
            ended = await DBOS.list_workflows_async(
                status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                completed_before=before.isoformat(),
                limit=FORGOTTEN_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not ended:
                return
            await DBOS.delete_workflows_async([one.workflow_id for one in ended])

    async def close(self) -> None:
        # DBOS had put its own executor on the loop, and shuts it down here: others on this loop still need one
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)  # it joins its threads

    def _url(self) -> str:
        if self._settings.database_url is None:
            return f"sqlite:///{self._settings.state_dir / 'dbos.db'}"
        return self._settings.sqlalchemy_url(driver="sync")


def _sqlite_engine(url: str) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if sqlite3.sqlite_version_info < (3, 42):
            connection.create_function("unixepoch", -1, _unixepoch)

    return engine


def _unixepoch(modifier: str = "") -> float:
    """Seconds since 1970, with `subsec` to the millisecond.

    DBOS takes it for granted from Python 3.12 on, and Debian 12 has an SQLite that does not know the modifier.
    """
    return time.time_ns() // 1_000_000 / 1000 if modifier == "subsec" else int(time.time())

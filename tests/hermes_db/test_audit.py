"""What changed in the registry can be proved, and says who did it."""

import json

import pytest
from sqlalchemy import create_engine

from config.forensics import verify


@pytest.fixture
def trail(state_dir):
    def read() -> list[dict]:
        file = state_dir / "forensic" / "hermes_db" / "logs" / "audit_log.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [row | {"details": json.loads(row["details"])} for row in rows]

    return read


async def test_registering_changing_and_deactivating_are_recorded_with_the_caller(registry, trail, fleet_headers):
    made = (await registry.post("/hermes_db/models", json={"name": "m", "path": "/a"})).json()
    path = f"/hermes_db/models/{made['id']}"
    await registry.patch(path, json={"path": "/b"}, headers=fleet_headers)
    await registry.delete(path)
    await registry.patch(path, json={"is_active": True})
    await registry.put("/hermes_db/clis/git", json={"path": "/usr/bin/git"})
    await registry.put("/hermes_db/clis/git", json={"path": "/tmp/git"})
    rows = trail()
    assert [(row["event"], row["caller"]) for row in rows] == [
        ("model_registered", "owner"),
        ("model_changed", "test"),
        ("model_deactivated", "owner"),
        ("model_activated", "owner"),
        ("cli_registered", "owner"),
        ("cli_changed", "owner"),
    ]
    assert rows[1]["details"] == {"name": "m", "before": {"path": "/a"}, "after": {"path": "/b"}}
    assert rows[5]["subject"] == "cli:git"


async def test_what_changes_nothing_records_nothing(registry, trail):
    await registry.post("/hermes_db/models", json={"name": "m"})
    await registry.put("/hermes_db/clis/git", json={"version": "1.0"})
    before = trail()
    await registry.patch("/hermes_db/models/1", json={"name": "m"})
    await registry.put("/hermes_db/models/1", json={"name": "m"})
    await registry.put("/hermes_db/clis/git", json={"version": "1.0"})
    await registry.post("/hermes_db/models", json={"name": "m"})
    assert trail() == before


async def test_the_trail_verifies(registry, state_dir):
    for number in range(5):
        await registry.post("/hermes_db/models", json={"name": f"m{number} \u2028 ñ"})
    engine = create_engine(f"sqlite:///{state_dir / 'vx11.db'}")
    with engine.connect() as connection:
        assert verify(connection, state_dir) == (5, [])
    engine.dispose()

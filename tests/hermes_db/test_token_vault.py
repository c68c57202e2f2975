"""Values of keys are nowhere to be read at rest, survive a rotation, and a lost key file is told, not hidden."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from hermes_db.vault import Vault
from tests.hermes_db.answers import problem

VALUES = ("hf_SecretSecretSecret0123456789", "gho_OtherOtherOther0123456789")


async def store(hermes_db, service: str, value: str, **options) -> None:
    body = {"service": service, "token": value}
    assert (await hermes_db.http.post("/hermes_db/tokens", json=body, **options)).status_code in (200, 201)


async def value_of(hermes_db, service: str):
    return await hermes_db.http.get(f"/hermes_db/tokens/{service}/value", headers=hermes_db.as_switch)


def key_file(state_dir: Path) -> Path:
    return state_dir / "secrets" / "tokens.key"


def sealed_in(state_dir: Path) -> dict[str, str]:
    engine = create_engine(f"sqlite:///{state_dir / 'vx11.db'}")
    with engine.connect() as connection:
        found = {row.service: row.value for row in connection.execute(text("SELECT * FROM external_tokens"))}
    engine.dispose()
    return found


async def test_no_file_no_log_and_no_error_holds_a_value(hermes_db_at, state_dir, capfd):
    async with hermes_db_at(log_level="debug") as hermes_db:
        for value in VALUES:
            await store(hermes_db, "one", value, headers={"Idempotency-Key": value[:4]})
            await store(hermes_db, "one", value, headers={"Idempotency-Key": value[:4]})
            await hermes_db.http.patch("/hermes_db/tokens/one", json={"token": value, "limit_per_day": 1})
            assert (await value_of(hermes_db, "one")).status_code in (200, 429)
            await hermes_db.http.post("/hermes_db/tokens", json={"service": value, "token": value})
            await hermes_db.http.patch("/hermes_db/tokens/one", json={"token": f"{value} {value}"})
            key_file(state_dir).rename(state_dir / "aside")
            await store_fails(hermes_db, value)
            (state_dir / "aside").rename(key_file(state_dir))
        await hermes_db.http.post("/hermes_db/tokens/rotate")
        held = {
            str(file): value
            for file in state_dir.rglob("*")  # while it runs: the write-ahead log is there too
            if file.is_file()
            for value in VALUES
            if value.encode() in file.read_bytes()
        }
    shown = "".join(capfd.readouterr())
    assert held == {}
    assert '"event"' in shown or "request" in shown, "nothing was logged: this test would not see a value"
    assert not [value for value in VALUES if value in shown]


async def store_fails(hermes_db, value: str) -> None:
    answer = await hermes_db.http.post("/hermes_db/tokens", json={"service": "two", "token": value})
    problem(answer, 503, "token_key_unusable")
    problem(await hermes_db.http.patch("/hermes_db/tokens/one", json={"token": value}), 503, "token_key_unusable")


async def test_a_rotation_encrypts_every_value_anew_with_a_key_that_only_its_owner_reads(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        for number, value in enumerate(VALUES):
            await store(hermes_db, f"s{number}", value)
        before, file = sealed_in(state_dir), key_file(state_dir)
        [old] = file.read_text().split()
        assert (await hermes_db.http.post("/hermes_db/tokens/rotate")).json() == {"rotated": 2, "keys": 2}
        assert hermes_db.trail()[-1]["event"] == "tokens_rotated"
        after, keys = sealed_in(state_dir), file.read_text().split()
        assert keys[1:] == [old]
        assert not set(before.values()) & set(after.values())
        file.write_text(keys[0] + "\n")  # the older key is not needed any more
        for number, value in enumerate(VALUES):
            assert (await value_of(hermes_db, f"s{number}")).json()["token"] == value
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [one.name for one in file.parent.iterdir() if "tokens" in one.name] == ["tokens.key"]


async def test_a_rotation_that_was_killed_between_file_and_database_loses_nothing(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        await store(hermes_db, "s", VALUES[0])
    Vault(key_file(state_dir)).add_key()
    async with hermes_db_at() as hermes_db:
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[0]
        assert (await hermes_db.http.post("/hermes_db/tokens/rotate")).json() == {"rotated": 1, "keys": 3}
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[0]


async def test_a_restart_keeps_keys_and_what_was_used_of_them(hermes_db_at):
    async with hermes_db_at() as hermes_db:
        await store(hermes_db, "s", VALUES[0])
        await value_of(hermes_db, "s")
    async with hermes_db_at() as hermes_db:
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[0]
        assert (await hermes_db.http.get("/hermes_db/tokens/s")).json()["used_today"] == 2


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text("nonsense\n"), "no usable key"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "not text"),
        (lambda file: file.write_text(""), "no usable key"),
    ],
)
async def test_a_lost_key_file_is_named_and_everything_else_goes_on(hermes_db_at, state_dir, spoil, told):
    file = key_file(state_dir)
    async with hermes_db_at() as hermes_db:
        await store(hermes_db, "s", VALUES[0])
        held = file.read_bytes()
    spoil(file)
    async with hermes_db_at() as hermes_db:
        body = problem(await value_of(hermes_db, "s"), 503, "token_key_unusable")
        assert str(file) in body["detail"]
        assert told in body["detail"]
        check = (await hermes_db.http.get("/hermes_db/health")).json()["checks"]["tokens"]
        assert check == {"status": "degraded", "detail": body["detail"]}
        problem(await hermes_db.http.post("/hermes_db/tokens/rotate"), 503, "token_key_unusable")
        answer = await hermes_db.http.post("/hermes_db/tokens", json={"service": "t", "token": VALUES[1]})
        problem(answer, 503, "token_key_unusable")
        assert (await hermes_db.http.get("/hermes_db/tokens")).json()["items"][0]["used_today"] == 0
        file.write_bytes(held)
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[0]


async def test_another_key_file_is_told_and_the_values_can_be_stored_anew(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        await store(hermes_db, "s", VALUES[0])
        file = key_file(state_dir)
        file.unlink()
        Vault(file).sealer(may_make=True)
        body = problem(await value_of(hermes_db, "s"), 503, "token_key_unusable")
        assert str(file) in body["detail"]
        check = (await hermes_db.http.get("/hermes_db/health")).json()["checks"]["tokens"]
        assert check == {"status": "degraded", "detail": f"1 of 1 cannot be decrypted with {file}"}
        sealed, keys = sealed_in(state_dir), file.read_text()
        problem(await hermes_db.http.post("/hermes_db/tokens/rotate"), 503, "token_key_unusable")
        assert (sealed_in(state_dir), file.read_text()) == (sealed, keys)
        await store(hermes_db, "s", VALUES[1])
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[1]


async def test_when_all_that_a_lost_key_encrypted_is_deleted_a_new_one_is_made(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        await store(hermes_db, "s", VALUES[0])
        key_file(state_dir).unlink()
        may_delete = hermes_db.through_gateway | {"X-VX11-Scopes": "hermes_db:delete"}
        assert (await hermes_db.http.delete("/hermes_db/tokens/s", headers=may_delete)).status_code == 200
        await store(hermes_db, "s", VALUES[1])
        assert (await value_of(hermes_db, "s")).json()["token"] == VALUES[1]


async def test_a_fleet_without_keys_makes_no_key_file(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        check = (await hermes_db.http.get("/hermes_db/health")).json()["checks"]["tokens"]
        assert check == {"status": "ok", "detail": "none stored"}
    assert not key_file(state_dir).exists()


async def test_a_folder_that_cannot_be_written_to_is_told_and_nothing_is_stored(hermes_db_at, state_dir):
    async with hermes_db_at() as hermes_db:
        (state_dir / "secrets" / ".tokens.key.draft").mkdir()  # stands in the way of the file, whoever runs this
        answer = await hermes_db.http.post("/hermes_db/tokens", json={"service": "s", "token": VALUES[0]})
        assert "cannot be written" in problem(answer, 503, "token_key_unusable")["detail"]
        assert (await hermes_db.http.get("/hermes_db/tokens")).json()["items"] == []

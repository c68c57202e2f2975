"""What a token may have madre do: no more than it may do itself, where that does harm."""

import pytest

KEY = {"Idempotency-Key": "again-1"}


def limited(secrets, *scopes: str) -> dict[str, str]:
    """Headers as the gateway sends them for a client token with these scopes."""
    token = secrets.fleet.get_secret_value()
    return {"X-VX11-Token": token, "X-VX11-Caller": "token:limited", "X-VX11-Scopes": " ".join(scopes)}


async def ask_to_delete(madre, asset_id: str, **options):
    body = {"target": "shub", "action": "delete", "params": {"asset_id": asset_id}}
    return await madre.post("/madre/control", json=body, **options)


@pytest.mark.parametrize("scopes", [("madre:read", "madre:write"), ("madre:*",), ("madre:*", "shub:read")])
async def test_a_token_that_may_not_change_shub_cannot_have_madre_delete_there(madre, shub, secrets, scopes):
    asset = shub.add("take")
    refused = await ask_to_delete(madre, asset, headers=limited(secrets, *scopes))
    assert refused.status_code == 403
    assert "shub:write" in refused.json()["detail"]
    said = {"message": "borra este archivo", "files": [asset]}
    assert (await madre.post("/madre/chat", json=said, headers=limited(secrets, *scopes))).status_code == 403
    assert (await madre.get("/madre/plans")).json()["items"] == []


async def test_a_token_that_may_change_both_gets_its_confirmation(madre, shub, secrets):
    asked = await ask_to_delete(madre, shub.add("take"), headers=limited(secrets, "madre:*", "shub:*"))
    assert asked.json()["status"] == "pending_confirmation"


@pytest.mark.parametrize("what", ["halt", "resume"])
async def test_halting_the_fleet_is_more_than_writing(madre, secrets, what):
    writer = limited(secrets, "madre:read", "madre:write")
    assert (await madre.post(f"/madre/{what}", headers=writer)).status_code == 403
    assert (await madre.post(f"/madre/{what}", headers=limited(secrets, f"madre:{what}"))).status_code == 200


async def test_a_confirmation_whose_answer_was_lost_can_be_repeated_with_its_key(madre, shub):
    asked = (await ask_to_delete(madre, shub.add("take"))).json()
    confirm, body = f"/madre/plans/{asked['plan_id']}/confirm", {"confirm_token": asked["confirm_token"]}
    first = await madre.post(confirm, json=body, headers=KEY)
    again = await madre.post(confirm, json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert (await madre.post(confirm, json=body)).status_code == 403
    assert (await madre.post(confirm, json={"confirm_token": "other"}, headers=KEY)).status_code == 409


async def test_a_cancel_whose_answer_was_lost_can_be_repeated_with_its_key(madre, shub):
    asked = (await ask_to_delete(madre, shub.add("take"))).json()
    cancel = f"/madre/plans/{asked['plan_id']}/cancel"
    assert (await madre.post(cancel, headers=KEY)).json()["status"] == "CANCELLED"
    assert (await madre.post(cancel, headers=KEY)).json()["status"] == "CANCELLED"
    assert (await madre.post(cancel)).status_code == 409

"""Models: registered, found, changed, taken out of use and brought back."""

import asyncio

from hermes_db.main import create_app
from tests.hermes_db.answers import problem

QWEN = {
    "name": "qwen-coder-q4",
    "model_id": "Qwen/Qwen-Coder",
    "source": "huggingface",
    "path": "/models/qwen.gguf",
    "size_bytes": 5_000_000_000,
    "sha256": "ab" * 32,
    "tags": ["code", "señal", "100%"],
    "specialty": "code",
    "adjacent_fields": ["analysis"],
    "model_type": "gguf",
    "version": "2.5",
    "license": "Apache-2.0",
    "revision": "1f2e",
    "performance_score": 0.8,
    "metadata": {"context_length": 32768, "author": {"name": "Ñ"}},
}


async def add(registry, **fields) -> dict:
    answer = await registry.post("/hermes_db/models", json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def names(registry, query: str = "") -> list[str]:
    answer = await registry.get(f"/hermes_db/models{query}")
    assert answer.status_code == 200, answer.text
    return [model["name"] for model in answer.json()["items"]]


async def test_a_registered_model_reads_back_as_it_was_sent(registry):
    made = await add(registry, **QWEN)
    assert made.items() >= QWEN.items()
    assert made["usage_count"] == 0
    assert made["last_used_at"] is None
    assert made["is_active"] is True
    assert made["added_at"].endswith("Z")
    assert (await registry.get(f"/hermes_db/models/{made['id']}")).json() == made


async def test_the_bare_paths_of_the_original_documents_work(registry):
    made = (await registry.post("/models", json={"name": "m"})).json()
    assert made["model_id"] == "m"
    listed = (await registry.get("/models?active_only=false&limit=10")).json()
    assert listed["count"] == 1
    assert listed["models"] == listed["items"] == [made]
    assert (await registry.get("/models/1")).json() == made


async def test_pages_follow_each_other_without_gap_or_repeat(registry):
    for number in range(7):
        await add(registry, name=f"m{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = (await registry.get(f"/hermes_db/models?limit=3{cursor and f'&cursor={cursor}'}")).json()
        assert page["count"] == 7
        seen += [model["name"] for model in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"m{number}" for number in range(7)]


async def test_filters_find_what_they_say(registry):
    await registry.post("/hermes_db/specialties", json={"name": "music_mixing", "parent": "audio"})
    await add(registry, **QWEN)
    await add(registry, name="mixer", specialty="music_mixing", model_type="onnx", size_bytes=10)
    await add(registry, name="old_one")
    gone = await add(registry, name="gone", source="elsewhere")
    await registry.delete(f"/hermes_db/models/{gone['id']}")
    for query, found in [
        ("?specialty=code", ["qwen-coder-q4"]),
        ("?specialty=audio", ["mixer"]),
        ("?source=HuggingFace", ["qwen-coder-q4"]),
        ("?source=local", ["mixer", "old_one"]),
        ("?model_type=onnx", ["mixer"]),
        ("?tag=se%C3%B1al", ["qwen-coder-q4"]),
        ("?tag=100%25", ["qwen-coder-q4"]),
        ("?tag=cod", []),
        ("?max_size_bytes=4999999999", ["mixer"]),
        ("?search=CODER", ["qwen-coder-q4"]),
        ("?search=Qwen/", ["qwen-coder-q4"]),
        ("?search=_", ["old_one"]),
        ("?search=%25", []),
        ("?search=';DROP TABLE models;--", []),
        ("?specialty=code&model_type=onnx", []),
        ("?active=false", ["gone"]),
        ("?active=all", ["qwen-coder-q4", "mixer", "old_one", "gone"]),
        ("?active_only=true", ["qwen-coder-q4", "mixer", "old_one"]),
    ]:
        assert await names(registry, query) == found, query


async def test_a_name_is_given_once(registry):
    first = await add(registry, name="m")
    second = await add(registry, name="n")
    body = problem(await registry.post("/hermes_db/models", json={"name": "m"}), 409, "conflict")
    assert f"id {first['id']}" in body["detail"]
    problem(await registry.patch(f"/hermes_db/models/{second['id']}", json={"name": "m"}), 409, "conflict")
    problem(await registry.put(f"/hermes_db/models/{second['id']}", json={"name": "m"}), 409, "conflict")
    assert (await registry.patch(f"/hermes_db/models/{second['id']}", json={"name": "n"})).status_code == 200


async def test_of_two_that_want_a_name_at_once_one_gets_it(registry):
    answers = await asyncio.gather(*(registry.post("/hermes_db/models", json={"name": "m"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await names(registry) == ["m"]


async def test_an_unknown_specialty_is_refused_and_the_known_ones_named(registry):
    body = problem(
        await registry.post("/hermes_db/models", json={"name": "m", "specialty": "cooking"}), 422, "invalid_request"
    )
    assert body["errors"][0]["field"] == "body.specialty"
    assert "text_generation" in body["detail"]
    model = await add(registry, name="m")
    problem(
        await registry.patch(f"/hermes_db/models/{model['id']}", json={"specialty": "cooking"}), 422, "invalid_request"
    )


async def test_patch_changes_what_is_sent_and_put_replaces_the_rest(registry):
    made = await add(registry, **QWEN)
    path = f"/hermes_db/models/{made['id']}"
    patched = (await registry.patch(path, json={"version": "3", "license": None})).json()
    assert patched == made | {"version": "3", "license": None}
    put = (await registry.put(path, json={"name": "qwen"})).json()
    assert put["name"] == put["model_id"] == "qwen"
    assert put["tags"] == []
    assert put["sha256"] is None
    assert put["added_at"] == made["added_at"]
    body = problem(await registry.patch(path, json={"name": None}), 422, "invalid_request")
    assert "name may not be null" in body["detail"]


async def test_a_model_that_lies_here_is_kept_by_name_or_path_and_people_keep_what_they_decided(registry):
    first = await registry.put("/hermes_db/models", json=QWEN)
    assert first.status_code == 201
    made = first.json()
    path = f"/hermes_db/models/{made['id']}"
    decided = {"name": "mine", "tags": ["x"], "specialty": None, "performance_score": 0.1}
    await registry.patch(path, json=decided | {"metadata": made["metadata"] | {"note": 1}})
    found = QWEN | {"sha256": "cd" * 32, "size_bytes": 7, "revision": "9z", "metadata": {"context_length": 1}}
    again = await registry.put("/hermes_db/models", json=found)
    assert again.status_code == 200
    facts = {"sha256": "cd" * 32, "size_bytes": 7, "revision": "9z"}
    assert again.json() == made | decided | facts | {"metadata": made["metadata"] | {"note": 1, "context_length": 1}}


async def test_what_is_fetched_again_comes_back_only_when_asked(registry):
    made = (await registry.put("/hermes_db/models", json={"name": "m", "path": "/a"})).json()
    await registry.delete(f"/hermes_db/models/{made['id']}")
    found = {"name": "m", "path": "/b"}
    assert (await registry.put("/hermes_db/models", json=found)).json()["is_active"] is False
    assert (await registry.put("/hermes_db/models", json=found | {"is_active": True})).json()["is_active"] is True
    assert (await registry.put("/hermes_db/models", json={"name": "n", "is_active": False})).json()[
        "is_active"
    ] is False
    assert await names(registry) == ["m"]


async def test_a_deactivated_model_is_kept_and_comes_back(registry):
    made = await add(registry, name="m")
    path = f"/hermes_db/models/{made['id']}"
    for _ in range(2):
        assert (await registry.delete(path)).json()["is_active"] is False
    assert await names(registry) == []
    assert (await registry.get(path)).json()["is_active"] is False
    assert (await registry.patch(path, json={"is_active": True})).json() == made
    assert await names(registry) == ["m"]


async def test_deactivating_needs_to_write_and_nothing_more(registry, secrets):
    made = await add(registry, name="m")
    path = f"/hermes_db/models/{made['id']}"
    fleet = {"X-VX11-Token": secrets.fleet.get_secret_value(), "X-VX11-Caller": "token:x"}
    problem(await registry.delete(path, headers=fleet | {"X-VX11-Scopes": "hermes_db:read"}), 403, "forbidden")
    assert (await registry.delete(path, headers=fleet | {"X-VX11-Scopes": "hermes_db:write"})).status_code == 200


async def test_what_does_not_fit_is_refused_by_name(registry):
    for field, value in [
        ("name", ""),
        ("name", "   "),
        ("name", "a\x00b"),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("name", 7),
        ("name", None),
        ("size_bytes", 2**63),
        ("size_bytes", 10**30),
        ("size_bytes", -1),
        ("size_bytes", 1.5),
        ("size_bytes", "many"),
        ("sha256", "AB" * 32),
        ("sha256", "short"),
        ("tags", "code"),
        ("tags", ["x"] * 65),
        ("tags", [""]),
        ("tags", [{"a": 1}]),
        ("performance_score", 1.1),
        ("performance_score", "NaN"),
        ("source", "../../etc"),
        ("metadata", []),
        ("metadata", {"a": "x" * 70_000}),
        ("path", "x" * 5000),
        ("license", "x" * 200_000),
    ]:
        body = problem(
            await registry.post("/hermes_db/models", json={"name": "m"} | {field: value}), 422, "invalid_request"
        )
        assert any(error["field"].startswith(f"body.{field}") for error in body["errors"])
        assert await names(registry, "?active=all") == []


async def test_json_that_no_answer_could_repeat_is_refused(registry):
    for raw in [
        b'{"name": "m", "metadata": {"a": NaN}}',
        b'{"name": "m", "metadata": {"a": 1e999}}',
        b'{"name": "m", "metadata": {"a": "\\ud800"}}',
        b'{"name": "m", "metadata": {"\\udfff": 1}}',
        b'{"name": "m\\ud800"}',
        b'{"name": "m", "metadata": {"a": "\\u0000"}}',
        b'{"name": "m", "metadata": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}",
    ]:
        answer = await registry.post("/hermes_db/models", content=raw, headers={"content-type": "application/json"})
        body = problem(answer, 422, "invalid_request")
        assert body["errors"][0]["field"].startswith("body")
        assert await names(registry) == []


async def test_strange_but_valid_text_comes_back_as_it_was_sent(registry):
    name = "مرحبا 🎛️ '; DROP TABLE models; -- $(rm -rf /) {{7*7}}"
    made = await add(registry, name=name, metadata={"\\u0000": ["💽", 10**30]})
    assert (await registry.get(f"/hermes_db/models/{made['id']}")).json() == made
    assert made["name"] == name


async def test_ids_that_cannot_be_are_client_errors(registry):
    for model_id in ["abc", "0", "-1", "1.5", str(2**63), str(10**30), "%00", "1;drop", "9" * 5000]:
        for method in ("GET", "DELETE"):
            answer = await registry.request(method, f"/hermes_db/models/{model_id}")
            assert 400 <= answer.status_code < 500, answer.text


async def test_ids_that_are_not_there_are_not_found(registry):
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"name": "m"}), ("PATCH", {})):
        problem(await registry.request(method, f"/hermes_db/models/{2**63 - 1}", json=body), 404, "not_found")
    problem(await registry.post("/hermes_db/models/99/usage"), 404, "not_found")


async def test_a_cursor_that_is_none_of_ours_is_refused(registry):
    for cursor in ["abc", "-1", "1.0", "²", "9" * 100, str(2**63)]:
        body = problem(await registry.get("/hermes_db/models", params={"cursor": cursor}), 422, "invalid_request")
        assert body["errors"][0]["field"] == "query.cursor"


async def test_a_repeat_with_the_same_key_gets_the_same_answer_and_makes_nothing(registry):
    key = {"Idempotency-Key": "k1"}
    first = await registry.post("/hermes_db/models", json={"name": "m"}, headers=key)
    again = await registry.post("/hermes_db/models", json={"name": "m"}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    problem(await registry.post("/hermes_db/models", json={"name": "n"}, headers=key), 409, "idempotency_conflict")
    assert await names(registry) == ["m"]


async def test_a_refused_request_does_not_use_its_key_up(registry):
    key = {"Idempotency-Key": "k1"}
    body = {"name": "m", "specialty": "music"}
    problem(await registry.post("/hermes_db/models", json=body, headers=key), 422, "invalid_request")
    await registry.post("/hermes_db/specialties", json={"name": "music"})
    assert (await registry.post("/hermes_db/models", json=body, headers=key)).status_code == 201


async def test_racing_repeats_register_once(registry):
    key = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(
        *(registry.post("/hermes_db/models", json={"name": "m"}, headers=key) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {1}


async def test_everything_is_there_after_a_restart(settings, client_of):
    async with client_of(create_app(settings)) as before:
        made = await add(before, **QWEN)
    async with client_of(create_app(settings)) as after:
        assert (await after.get(f"/hermes_db/models/{made['id']}")).json() == made
        assert (await after.get("/hermes_db/specialties")).json()["count"] == 8

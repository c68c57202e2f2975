"""Models and tools in chat: found, asked about, fetched exactly as asked, removed only when confirmed, told with their sizes."""

import asyncio

import httpx
import pytest

from config import grants
from tests.fakes.neighbours import answer, problem

CODER = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
FIND_AND_FETCH = "busca un modelo pequeño de código y descárgalo"


@pytest.fixture
def coder(hermes):
    return hermes.add(CODER, ("Q8_0", 531_000_000), ("Q4_K_M", 398_000_000), ("Q2_K", 339_000_000))


async def say(madre, message: str, **more) -> dict:
    reply = await madre.post("/madre/chat", json={"message": message, "session_id": "s1", "wait_seconds": 30} | more)
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


async def finished(madre, plan_id: str) -> dict:
    async with asyncio.timeout(60), madre.stream("GET", f"/madre/plans/{plan_id}/events") as events:
        async for _ in events.aiter_lines():
            pass
    return (await madre.get(f"/madre/plans/{plan_id}")).json()


async def test_a_search_answers_with_name_size_licence_and_whether_it_fits(madre, hermes, coder):
    hermes.add(
        "other/gated", ("Q4_K_M", 4_700_000_000), is_gated=True, access_url="http://hub/other/gated", license=None
    )
    reply = await say(madre, "busca un modelo pequeño de código")
    assert (reply["status"], reply["risk"]) == ("DONE", "LOW")
    assert f"1. {CODER}: 339 MB; Q8_0, Q4_K_M, Q2_K; apache-2.0; cabe" in reply["response"]
    assert "http://hub/other/gated" in reply["response"]
    [asked] = hermes.searches
    assert (asked.query, asked.filters.specialty, asked.filters.size_max) == ("code", "code", 1_000_000_000)
    assert hermes.downloads == {}


async def test_a_download_asks_what_how_big_and_which_licence_and_a_yes_fetches_exactly_that(madre, hermes, coder):
    hermes.add("other/coder", ("Q4_K_M", 500_000_000), license="mit")
    asked = await say(madre, FIND_AND_FETCH)
    assert (asked["status"], asked["risk"], asked["confirmation"]) == ("WAITING", "MED", None)
    assert asked["question"].startswith(f"¿Descargo {CODER} (Q4_K_M, 398 MB, apache-2.0)?")
    assert "other/coder (Q4_K_M, 500 MB, mit)" in asked["question"]
    assert hermes.downloads == {}
    hermes.found.reverse()  # what the hub would say now changes nothing
    yes = await say(madre, "sí")
    assert yes["plan_id"] == asked["plan_id"]
    plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "DONE"
    [order] = hermes.downloads.values()
    assert (order.model_id, order.quantization, order.revision) == (CODER, "Q4_K_M", "a" * 40)
    assert "qwen2.5-coder-0.5b-instruct-gguf (Q4_K_M, 398 MB, apache-2.0)" in plan["response"]


async def test_a_no_downloads_nothing(madre, hermes, coder):
    asked = await say(madre, FIND_AND_FETCH)
    await say(madre, "no")
    assert (await madre.get(f"/madre/plans/{asked['plan_id']}")).json()["status"] == "CANCELLED"
    assert hermes.downloads == {}


async def test_a_model_named_by_its_id_and_version_is_that_one(madre, hermes, coder):
    hermes.found.insert(0, hermes.add("popular/thing", ("Q8_0", 100)))
    asked = await say(madre, f"download {CODER} Q8_0")
    assert asked["question"].startswith(f"Shall I download {CODER} (Q8_0, 531 MB, apache-2.0)?")
    assert "popular/thing" not in asked["question"]


async def test_a_version_that_is_not_there_is_asked_about_and_the_answer_completes_the_request(madre, hermes, coder):
    asked = await say(madre, f"descarga {CODER} Q3_K_S")
    assert asked["plan_id"] is None
    assert "no tiene Q3_K_S" in asked["question"]
    assert "Q2_K (339 MB)" in asked["question"]
    again = await say(madre, "Q2_K")
    assert f"¿Descargo {CODER} (Q2_K, 339 MB, apache-2.0)?" in again["question"]


async def test_models_that_do_not_fit_or_are_gated_are_not_proposed_before_others(madre, hermes):
    gated = hermes.add("ours/gated", ("Q4_K_M", 10), is_gated=True, access_url="http://hub/ours/gated")
    hermes.add("ours/huge", ("Q4_K_M", 3 * 1024**3))
    hermes.add(
        "ours/big", ("Q4_K_M", 20), fit=gated.fit.model_copy(update={"is_fitting": False, "detail": "no memory"})
    )
    hermes.add("ours/good", ("Q4_K_M", 30))
    asked = await say(madre, "download the best small coding model")
    assert "Shall I download ours/good" in asked["question"]
    assert [one for one in ("ours/huge", "ours/big") if one in asked["question"]] == []
    named = await say(madre, "download ours/gated", session_id="s2")
    assert "http://hub/ours/gated" in named["warnings"][0]


async def test_the_smallest_version_is_one_that_can_be_run_and_has_a_size(madre, hermes):
    """A projector or an importance matrix is smaller than any version, and none."""
    files = [
        {"path": path, "size_bytes": size_bytes, "format": "gguf", "quantization": quantization}
        for path, size_bytes, quantization in (
            ("eyes-Q8_0.gguf", 500_000_000, "Q8_0"),
            ("eyes-Q4_K_M.gguf", 300_000_000, "Q4_K_M"),
            ("eyes-Q6_K.gguf", None, "Q6_K"),
            ("mmproj-eyes-f16.gguf", 9_000_000, None),
            ("eyes.imatrix.gguf", 1_000_000, None),
        )
    ]
    hermes.add("lab/eyes", ("Q8_0", 500_000_000), ("Q4_K_M", 300_000_000), files=files)
    asked = await say(madre, "descarga la versión más pequeña de lab/eyes")
    assert asked["question"].startswith("¿Descargo lab/eyes (Q4_K_M, 300 MB"), asked["question"]


async def test_without_a_name_or_a_purpose_it_asks_for_one(madre, hermes, coder):
    asked = await say(madre, "download a model")
    assert "Which model shall I download?" in asked["question"]
    then = await say(madre, "for code")
    assert f"Shall I download {CODER}" in then["question"]


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("hub_unreachable", 503, "VX11_HERMES_HUB_URL"),
        ("hub_token_refused", 403, "the detail of it"),
        ("hub_rate_limited", 429, "esperemos"),
    ],
)
async def test_a_hub_that_is_unwell_is_said_to_be_so_with_what_to_do(madre, hermes, code, status, told):
    hermes.fault = problem(code, status, "the detail of it")
    for message in ("busca un modelo de código", FIND_AND_FETCH):
        reply = await say(madre, message)
        assert (reply["status"], reply["question"]) == ("ERROR", None)
        assert told in reply["response"]


async def test_hermes_down_is_told_plainly(madre, hermes):
    hermes.fault = httpx.ConnectError("down")
    assert "hermes" in (await say(madre, FIND_AND_FETCH))["response"]


async def test_a_download_that_fails_says_why_and_what_to_do(madre, hermes, coder):
    hermes.job_error = "gated_model: accept the licence at http://hub/x"
    asked = await say(madre, FIND_AND_FETCH)
    await say(madre, "sí")
    plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "ERROR"
    assert "aceptar antes su licencia" in plan["response"]
    assert "http://hub/x" in plan["response"]


async def a_running_download(madre, hermes) -> str:
    hermes.finish.clear()
    asked = await say(madre, FIND_AND_FETCH)
    await say(madre, "sí", wait_seconds=0)
    async with asyncio.timeout(60):
        await hermes.asked_for.wait()
    return asked["plan_id"]


async def test_a_restart_goes_on_with_the_same_job(start_madre, hermes, coder):
    async with start_madre() as madre:
        plan_id = await a_running_download(madre, hermes)
    hermes.finish.set()
    async with start_madre() as madre:
        assert (await finished(madre, plan_id))["status"] == "DONE"
    assert len(hermes.jobs) == 1


async def test_a_cancel_ends_the_download(madre, hermes, coder):
    plan_id = await a_running_download(madre, hermes)
    await madre.post(f"/madre/plans/{plan_id}/cancel")
    async with asyncio.timeout(60):
        while [job.status for job in hermes.jobs.values()] != ["CANCELLED"]:
            await asyncio.sleep(0.01)


async def test_a_halt_cancels_downloads_and_a_resume_asks_for_it_again(madre, hermes, coder):
    plan_id = await a_running_download(madre, hermes)
    await madre.post("/madre/halt", json={"reason": "fire"})
    assert [job.status for job in hermes.jobs.values()] == ["CANCELLED"]
    hermes.finish.set()
    await madre.post("/madre/resume")
    assert (await finished(madre, plan_id))["status"] == "DONE"
    assert len(hermes.jobs) == 2
    assert len({order.revision for order in hermes.downloads.values()}) == 1


@pytest.mark.parametrize(
    "message",
    [
        "borra el modelo qwen-coder-q4",
        "delete model 2",
        "borra el modelo hub/qwen-coder-q4",
        "elimina el modelo `qwen-coder-q4`",
    ],
)
async def test_a_model_is_removed_only_with_its_token_and_only_the_one_that_is_named(
    madre, hermes, hermes_db, secrets, message
):
    hermes_db.add("qwen-coder")
    hermes_db.add("qwen-coder-q4")
    asked = await say(madre, message)
    assert (asked["status"], asked["risk"]) == ("WAITING", "HIGH")
    assert "qwen-coder-q4 (398 MB, id 2)" in asked["reason"]
    assert hermes.removed == []
    token = {"confirm_token": asked["confirmation"]["confirm_token"]}
    assert (await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json=token)).status_code == 200
    plan = await finished(madre, asked["plan_id"])
    assert plan["status"] == "DONE"
    assert hermes.removed == [2]
    granted = grants.read(secrets, hermes.grants[0])
    assert granted.operation == "hermes:delete_model"
    assert granted.params_hash == grants.params_hash({"model_id": 2})


@pytest.mark.parametrize(
    "message", ["borra el modelo qwen", "borra el modelo X", "borra el modelo 7", "elimina los modelos que no uso"]
)
async def test_what_is_unknown_or_could_be_several_is_asked_about_never_guessed(madre, hermes, hermes_db, message):
    hermes_db.add("qwen-coder")
    hermes_db.add("qwen-vision")
    asked = await say(madre, message)
    assert asked["plan_id"] is None
    assert "qwen-coder (id 1), qwen-vision (id 2)" in asked["question"]
    then = await say(madre, "qwen-vision")
    assert then["risk"] == "HIGH"
    assert "qwen-vision (398 MB, id 2)" in then["reason"]


async def test_models_are_listed_with_sizes_and_by_specialty(madre, hermes_db):
    hermes_db.add("qwen-coder")
    hermes_db.add("moondream", specialty="vision", size_bytes=1_700_000_000)
    told = (await say(madre, "qué modelos tengo"))["response"]
    assert "2 modelos, 2,1 GB" in told
    assert "- moondream (vision, 1,7 GB, apache-2.0, id 2)" in told
    only = (await say(madre, "qué modelos de código tengo"))["response"]
    assert "qwen-coder" in only
    assert "moondream" not in only


async def test_tools_are_told_as_hermes_sees_them_and_as_registered_while_it_is_down(madre, hermes):
    assert (await say(madre, "qué CLIs hay instaladas"))["response"] == "1 herramienta: git 2.47."
    hermes.fault = httpx.ConnectError("down")
    assert "hermes no responde" in (await say(madre, "qué CLIs hay instaladas"))["response"]


async def test_structured_requests_do_the_same(madre, hermes, hermes_db, coder):
    async def control(action: str, **params) -> httpx.Response:
        body = {"target": "hermes", "action": action, "params": params, "wait_seconds": 30}
        return await madre.post("/madre/control", json=body)

    found = await control("search", query="code", filters={"size_max": 5})
    assert (found.json()["status"], hermes.searches[-1].filters.size_max) == ("DONE", 5)
    asked = (await control("download", model_id=CODER, quantization="Q2_K")).json()
    assert asked["status"] == "WAITING"
    assert (await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json={})).status_code == 200
    assert (await finished(madre, asked["plan_id"]))["status"] == "DONE"
    assert [order.quantization for order in hermes.downloads.values()] == ["Q2_K"]
    kept = hermes_db.models[0]
    assert (await control("delete_model", model_id=kept.id)).json()["status"] == "pending_confirmation"
    assert (await control("list_clis")).json()["status"] == "DONE"
    for action, wrong in (
        ("search", {"query": 5}),
        ("search", {"query": "x", "filters": {"size_max": -1}}),
        ("download", {"model_id": "no such/id/at all"}),
        ("download", {"model_id": CODER, "files": "a.gguf"}),
    ):
        refused = await control(action, **wrong)
        assert (refused.status_code, refused.json()["type"]) == (422, "/errors/invalid_request"), (action, wrong)


async def test_an_answer_off_the_contract_is_not_believed(madre, hermes, coder):
    asked = await say(madre, FIND_AND_FETCH)
    work = hermes.work

    async def nonsense(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hermes/download":
            return answer(
                {
                    "job_id": "j",
                    "kind": "download",
                    "status": "DONE",
                    "result": {"id": "x"},
                    "created_at": "2026-01-01T00:00:00Z",
                }
            )
        return await work(request)

    hermes.work = nonsense
    await say(madre, "sí", wait_seconds=0)
    await madre.post(f"/madre/plans/{asked['plan_id']}/cancel")
    assert (await madre.get(f"/madre/plans/{asked['plan_id']}")).json()["status"] == "CANCELLED"


async def test_keeping_house_says_what_would_go_and_is_done_only_when_confirmed(madre, hermes, secrets):
    async def asked_for() -> httpx.Response:
        body = {"target": "hermes", "action": "maintenance", "params": {}, "wait_seconds": 30}
        return await madre.post("/madre/control", json=body)

    nothing = (await asked_for()).json()
    assert (nothing["status"], "No model has to go" in nothing["response"]) == ("ERROR", True)
    hermes.to_go = [3, 5]
    asked = (await asked_for()).json()
    assert (asked["risk"], "model 3 (1.0 GB, id 3), model 5" in asked["reason"]) == ("HIGH", True)
    assert hermes.grants == []
    await madre.post(f"/madre/plans/{asked['plan_id']}/confirm", json={"confirm_token": asked["confirm_token"]})
    plan = await finished(madre, asked["plan_id"])
    assert "model 5 (1.0 GB freed)" in plan["response"]
    granted = grants.read(secrets, hermes.grants[0])
    assert (granted.operation, granted.params_hash) == ("hermes:maintenance", grants.params_hash({}))


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("descarga el segundo", "other/coder"),
        ("download number 2", "other/coder"),
        ("bájalo", CODER),
        ("download the first one", CODER),
    ],
)
async def test_what_a_search_showed_can_be_asked_for_by_its_place(madre, hermes, coder, message, wanted):
    hermes.add("other/coder", ("Q4_K_M", 500_000_000))
    await say(madre, "busca un modelo de código")
    asked = await say(madre, message)
    assert f"{wanted} (Q4_K_M" in asked["question"].partition("?")[0]
    assert hermes.searches[-1].query == wanted
    elsewhere = await say(madre, message, session_id="another")
    assert elsewhere["plan_id"] is None  # there, nothing was shown


@pytest.mark.parametrize(
    ("message", "params", "field"),
    [
        ("busca un modelo de código", {"models": 5}, "params.models"),
        ("busca un modelo de código", {"filters": 5}, "params.filters"),
        ("busca un modelo de código", {"size_max": "big"}, "params.size_max"),
        ("busca un modelo de código", {"query": ["x"]}, "params.query"),
        ("descarga qwen coder", {"models": [{}]}, "params.models.0"),
        ("descarga qwen coder", {"quantization": {"from": "s1", "key": "x"}}, "params.quantization"),
        ("descarga el segundo", {"place": "second"}, "params.place"),
        ("borra el modelo 3", {"models": "all"}, "params.models"),
    ],
)
async def test_params_of_a_wrong_shape_are_named(madre, hermes, hermes_db, message, params, field):
    hermes_db.add("coder")
    reply = await madre.post("/madre/chat", json={"message": message, "params": params})
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["field"].startswith(field)
    assert (hermes.asked, hermes.removed) == ([], [])

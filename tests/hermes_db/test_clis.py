"""Command-line tools, kept by name."""

from tests.hermes_db.answers import problem

GIT = {
    "description": "Version control",
    "kind": "vcs",
    "path": "/usr/bin/git",
    "version": "2.39.5",
    "install_command": "apt-get install git",
    "documentation_url": "https://git-scm.com/doc",
    "api_url": None,
    "token_required": False,
    "token_service": None,
    "rate_limit_per_hour": 100,
    "rate_limit_per_day": 1000,
    "max_concurrent": 2,
    "answers_prompts": False,
    "is_active": True,
    "metadata": {"flag": "--version"},
}


async def test_a_tool_is_registered_shown_and_listed(registry):
    made = (await registry.post("/hermes_db/clis", json=GIT | {"name": "git"})).json()
    assert made.items() >= GIT.items()
    assert (await registry.get("/hermes_db/clis/git")).json() == made
    listed = (await registry.get("/clis")).json()
    assert listed == {"items": [made], "next_cursor": None, "count": 1, "clis": [made]}


async def test_put_registers_first_and_replaces_after(registry):
    first = await registry.put("/hermes_db/clis/g++", json=GIT)
    assert (first.status_code, first.json()["name"]) == (201, "g++")
    second = await registry.put("/hermes_db/clis/g++", json={"version": "12.2"})
    assert second.status_code == 200
    assert second.json()["id"] == first.json()["id"]
    assert (second.json()["version"], second.json()["path"]) == ("12.2", None)


async def test_a_name_is_given_once(registry):
    await registry.post("/hermes_db/clis", json={"name": "git"})
    body = problem(await registry.post("/hermes_db/clis", json={"name": "git"}), 409, "conflict")
    assert "PUT" in body["detail"]


async def test_a_deactivated_tool_is_kept_and_comes_back(registry):
    made = (await registry.put("/hermes_db/clis/git", json=GIT)).json()
    assert (await registry.delete("/hermes_db/clis/git")).json()["is_active"] is False
    assert (await registry.get("/hermes_db/clis")).json()["count"] == 0
    assert (await registry.get("/hermes_db/clis?active=false")).json()["count"] == 1
    assert (await registry.patch("/hermes_db/clis/git", json={"is_active": True})).json() == made


async def test_filters_find_what_they_say(registry):
    await registry.put("/hermes_db/clis/git", json={"kind": "vcs"})
    await registry.put("/hermes_db/clis/gh", json={})
    await registry.put("/hermes_db/clis/claude", json={"kind": "llm", "answers_prompts": True})
    for query, found in [
        ("?kind=llm", ["claude"]),
        ("?answers_prompts=true", ["claude"]),
        ("?answers_prompts=false", ["git", "gh"]),
        ("?search=G", ["git", "gh"]),
        ("?search=%25", []),
    ]:
        assert [cli["name"] for cli in (await registry.get(f"/hermes_db/clis{query}")).json()["items"]] == found, query


async def test_tools_that_are_not_there_are_not_found(registry):
    for name in ["nothing", "g++"]:
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {})):
            problem(await registry.request(method, f"/hermes_db/clis/{name}", json=body), 404, "not_found")


async def test_names_that_no_tool_has_are_client_errors(registry):
    for name in ["-rf", ".hidden", "a b", "a;b", "%00", "x" * 101, "$(id)", "ñ"]:
        for method in ("GET", "PUT"):
            answer = await registry.request(method, f"/hermes_db/clis/{name}", json={})
            assert 400 <= answer.status_code < 500, answer.text
        assert (await registry.get("/hermes_db/clis?active=all")).json()["count"] == 0


async def test_what_does_not_fit_is_refused_by_name(registry):
    for field, value in [
        ("documentation_url", "javascript:alert(1)"),
        ("documentation_url", "https://a b"),
        ("api_url", "file:///etc/passwd"),
        ("rate_limit_per_hour", 2**63),
        ("rate_limit_per_day", -1),
        ("max_concurrent", "two"),
        ("token_required", "perhaps"),
        ("description", None),
        ("install_command", "x" * 4001),
    ]:
        for method in ("PUT", "PATCH"):
            body = problem(
                await registry.request(method, "/hermes_db/clis/git", json={field: value}), 422, "invalid_request"
            )
            assert field in body["detail"]

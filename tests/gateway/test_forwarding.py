"""What the door passes on is what came, minus what must end here."""

import asyncio
import json

import pytest

from tests.fakes.wire import dial


def problem_of(answer, status: int, code: str) -> dict:
    assert answer.status == status, answer.body
    assert answer.header(b"content-type") == b"application/problem+json"
    body = json.loads(answer.body)
    assert body["type"] == f"/errors/{code}"
    assert body["service"] == "gateway"
    return body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_every_method_reaches_the_module(door, fleet, method):
    answer = await door.ask(f"{method} /madre/plans/p1")
    assert answer.status == 200
    assert fleet.madre.visits[0].line == f"{method} /madre/plans/p1 HTTP/1.1".encode()


@pytest.mark.parametrize(
    "target",
    [
        "/shub/assets?name=it's&a=%20+&b=%2B&&c",
        "/shub/assets/a%2Fb%2fc",
        "/shub//assets///x/",
        "/shub/%C3%B1and%C3%BA;v=1,2/(x)!*$@:~",
        "/shub/a..b/...c/.hidden",
        "/shub/x?q={}|^[]`'%22",
        "/shub/x?",
        "/shub/%zz%7F%25",
    ],
)
async def test_paths_and_queries_pass_as_they_came(door, fleet, target):
    assert (await door.ask(f"GET {target}")).status == 200
    expected = target.removesuffix("?")
    assert fleet.shub.visits[0].target.decode("latin-1") == expected


@pytest.mark.parametrize(
    "target",
    [
        "/madre/../shub/assets",
        "/madre/%2e%2e/shub/assets",
        "/madre/.%2E/shub",
        "/madre/./plans",
        "/madre/plans/..",
        "/madre/%2e",
        "/madre/..%2fshub",
        "/madre\\..\\shub",
        "/madre%5c..%5cshub",
        "/../shub/assets",
    ],
)
async def test_paths_that_two_programs_might_read_differently_go_nowhere(door, fleet, target):
    problem_of(await door.ask(f"GET {target}"), 400, "unclear_path")
    assert fleet.visits == 0


async def test_the_v1_paths_are_switchs(door, fleet):
    assert (await door.ask("POST /v1/chat/completions?x=1", body=b'{"model": "auto"}')).status == 200
    visit = fleet.switch.visits[0]
    assert visit.line == b"POST /v1/chat/completions?x=1 HTTP/1.1"
    assert visit.body == b'{"model": "auto"}'


async def test_the_client_speaks_for_nobody_but_itself(door, fleet, secrets):
    await door.ask(
        "GET /madre/plans",
        "X-VX11-Caller: madre",
        "X-VX11-Scopes: shub:delete",
        "X-VX11-Grant: forged",
        "X-Vx11-Anything: else",
        "Authorization: Bearer something",
        "X-Request-ID: mine",
        "Idempotency-Key: k1",
        "Last-Event-ID: 7",
    )
    visit = fleet.madre.visits[0]
    ours = sorted((name, value) for name, value in visit.headers if name.startswith(b"x-vx11-"))
    assert ours == [
        (b"x-vx11-caller", b"owner"),
        (b"x-vx11-scopes", b"*"),
        (b"x-vx11-token", secrets.fleet.get_secret_value().encode()),
    ]
    assert visit.header(b"authorization") is None
    assert door.token.encode() not in visit.head
    assert [value for name, value in visit.headers if name == b"x-request-id"] == [b"mine"]
    assert visit.header(b"idempotency-key") == b"k1"
    assert visit.header(b"last-event-id") == b"7"
    assert visit.header(b"host") == b"door.test"


async def test_a_bearer_token_is_taken_and_kept(door, fleet):
    answer = await door.ask("GET /madre/plans", f"Authorization: Bearer {door.token}", token="")
    assert answer.status == 200
    assert door.token.encode() not in fleet.madre.visits[0].head


async def test_clients_of_anthropics_api_are_let_in_by_x_api_key_which_ends_here(door, fleet, secrets):
    question = b'{"model": "auto", "max_tokens": 9}'
    answer = await door.ask(
        "POST /v1/messages", f"X-Api-Key: {door.token}", "anthropic-version: 2023-06-01", body=question, token=""
    )
    assert answer.status == 200
    visit = fleet.switch.visits[0]
    assert visit.line == b"POST /v1/messages HTTP/1.1"
    assert visit.header(b"anthropic-version") == b"2023-06-01"
    assert visit.header(b"x-api-key") is None
    assert door.token.encode() not in visit.head
    assert (await door.ask("GET /madre/plans", f"X-Api-Key: {door.token}", token="")).status == 401
    assert not fleet.madre.visits
    await door.ask("GET /madre/plans", "X-Api-Key: of something else")
    assert fleet.madre.visits[0].header(b"x-api-key") is None


async def test_errors_of_the_door_have_the_shape_of_the_api_whose_path_it_is(door, fleet):
    refused = await door.ask("POST /v1/messages", "X-Api-Key: wrong", body=b"{}", token="")
    said = json.loads(refused.body)
    assert (refused.status, said["type"], said["error"]["type"]) == (401, "error", "authentication_error")
    assert said["request_id"].encode() == dict(refused.headers)[b"x-request-id"]
    openais = json.loads((await door.ask("POST /v1/chat/completions", body=b"{}", token="wrong")).body)
    assert openais["error"]["code"] == "unauthorized"
    assert not fleet.switch.visits


async def test_hop_by_hop_headers_end_here_in_both_directions(door, fleet):
    fleet.madre.answers(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Authenticate: Basic\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: hidden\r\nX-Request-ID: other\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    )
    answer = await door.ask(
        "GET /madre/plans",
        "Connection: keep-alive, X-Hop, Content-Type",
        "X-Hop: 1",
        "Content-Type: text/plain",
        "TE: trailers",
        "Upgrade: h2c",
        "Keep-Alive: timeout=1",
        "Proxy-Authorization: Basic x",
        "X-Request-ID: mine",
        "X-End: stays",
    )
    visit = fleet.madre.visits[0]
    for name in (b"connection", b"x-hop", b"content-type", b"te", b"upgrade", b"keep-alive", b"proxy-authorization"):
        assert visit.header(name) is None, name
    assert visit.header(b"x-end") == b"stays"
    for name in (b"x-private", b"keep-alive", b"proxy-authenticate", b"server"):
        assert answer.header(name) is None, name
    assert [value for name, value in answer.headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
    assert [value for name, value in answer.headers if name == b"x-request-id"] == [b"mine"]
    assert len([value for name, value in answer.headers if name == b"date"]) == 1
    assert answer.header(b"content-encoding") == b"gzip"
    assert answer.body == b"{}"


async def test_header_bytes_beyond_ascii_pass_both_ways(door, fleet):
    fleet.madre.answers(b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\n{}")
    answer = await door.ask("GET /madre/plans", "X-Song: canci\u00f3n")
    assert fleet.madre.visits[0].header(b"x-song") == b"canci\xf3n"
    assert answer.header(b"x-name") == b"caf\xe9"


@pytest.mark.parametrize(
    "target",
    [
        "/hermes_db/tokens/openrouter/value",
        "/hermes_db/tokens/openrouter/value/",
        "/hermes_db/tokens/openrouter/value?x=1",
        "/hermes_db/tokens/open%2Frouter/value",
        "/hermes_db/%74okens/openrouter/%76alue",
        "/hermes_db//tokens//openrouter//value",
        "/hermes_db/tokens//value",
        "/HERMES_DB/tokens/openrouter/value",
        "/hermes_db/Tokens/openrouter/Value",
        "/hermes_db/tokens/open%0Arouter/value",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_the_values_of_provider_tokens_never_pass(door, fleet, method, target):
    answer = await door.ask(f"{method} {target}")
    assert answer.status in (403, 404)
    assert fleet.visits == 0


async def test_other_provider_token_routes_do_pass(door, fleet):
    assert (await door.ask("GET /hermes_db/tokens")).status == 200
    assert (await door.ask("GET /hermes_db/tokens/value")).status == 200
    assert (await door.ask("DELETE /hermes_db/tokens/openrouter")).status == 200
    assert len(fleet.hermes_db.visits) == 3


@pytest.mark.parametrize("module", ["manifestator", "mcp", "hormiguero"])
async def test_a_module_that_is_not_built_is_said_to_be_missing(door, module):
    body = problem_of(await door.ask(f"GET /{module}/anything"), 501, "not_in_fleet")
    assert f"{module} is not part of this fleet" in body["detail"]


@pytest.mark.parametrize("target", ["/", "/nothing", "/tokens", "/madrex/plans", "/gateway", "/v2/models"])
async def test_what_is_no_module_is_not_found(door, fleet, target):
    problem_of(await door.ask(f"GET {target}"), 404, "not_found")
    assert fleet.visits == 0


async def test_a_bodyless_post_says_that_it_has_no_body(door, fleet):
    await door.ask("POST /madre/halt")
    assert fleet.madre.visits[0].header(b"content-length") == b"0"


async def test_head_keeps_the_length_and_the_connection_stays_usable(door, fleet):
    fleet.shub.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    async with door.dial() as client:
        for _ in range(2):
            await client.send(door.request("HEAD /shub/assets/a/content"))
            answer = await client.answer(to_head=True)
            assert (answer.status, answer.header(b"content-length")) == (200, b"1000")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answers_without_a_body_end(door, fleet, status):
    fleet.madre.answers(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    async with door.dial() as client:
        for _ in range(2):
            await client.send(door.request("GET /madre/plans"))
            answer = await client.answer()
            assert answer.status == int(status[:3])
            assert answer.header(b"etag") == b"x"


async def test_interim_answers_are_not_mistaken_for_the_answer(door, fleet):
    fleet.madre.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
    )
    answer = await door.ask("POST /madre/chat", body=b"{}")
    assert (answer.status, answer.body, answer.header(b"link")) == (201, b"{}", None)


async def test_an_answer_that_ends_with_its_connection_passes_whole(door, fleet):
    fleet.madre.answers(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000, then_hang_up=True)
    assert (await door.ask("GET /madre/plans")).body == b"x" * 100_000


@pytest.mark.parametrize("status", [400, 404, 409, 418, 422, 500, 503, 599])
async def test_a_modules_own_errors_pass_unchanged(door, fleet, status):
    fleet.madre.answers(
        b"HTTP/1.1 %d Whatever\r\nContent-Type: application/problem+json\r\nContent-Length: 5\r\n\r\n[1,2]" % status
    )
    answer = await door.ask("GET /madre/plans")
    assert (answer.status, answer.body) == (status, b"[1,2]")


async def test_requests_at_the_same_time_get_their_own_answers(door, fleet):
    async def echo(visit):
        body = await visit.read_body()
        await asyncio.sleep(0)
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    fleet.madre.behaviour = echo

    async def ask(number: int) -> tuple[bytes, bytes | None]:
        answer = await door.ask("POST /madre/chat", f"X-Request-ID: r{number}", body=b"message %d" % number)
        return answer.body, answer.header(b"x-request-id")

    answers = await asyncio.gather(*(ask(number) for number in range(50)))
    assert answers == [(b"message %d" % number, b"r%d" % number) for number in range(50)]


async def test_connections_to_modules_are_used_again(door, fleet):
    for _ in range(10):
        await door.ask("GET /madre/plans")
    assert len(fleet.madre.visits) == 10
    assert fleet.madre.connections == 1


async def test_pipelined_requests_are_answered_in_order(door, fleet):
    async def echo_target(visit):
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(visit.target), visit.target))

    fleet.madre.behaviour = echo_target
    async with dial(door.port) as client:
        await client.send(door.request("GET /madre/a") + door.request("GET /madre/b"))
        assert [(await client.answer()).body for _ in range(2)] == [b"/madre/a", b"/madre/b"]


async def test_a_token_reaches_only_the_modules_its_scopes_name(door, fleet):
    async with door.http() as owner:
        made = await owner.post("/gateway/tokens", json={"name": "audio", "scopes": ["shub:read", "shub:write"]})
    token = made.json()["token"]
    body = problem_of(await door.ask("GET /madre/plans", token=token), 403, "forbidden")
    assert body["detail"] == "this token reaches shub, not madre"
    refused = await door.ask("POST /v1/chat/completions", token=token, body=b"{}")
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (403, "forbidden")
    assert fleet.visits == 0
    assert (await door.ask("GET /shub/assets", token=token)).status == 200
    visit = fleet.shub.visits[0]
    assert visit.header(b"x-vx11-caller") == f"token:{made.json()['id']}".encode()
    assert visit.header(b"x-vx11-scopes") == b"shub:read shub:write"


async def test_the_fleet_token_loses_its_privilege_at_the_door(door, fleet, secrets):
    await door.ask("GET /madre/plans", token=secrets.fleet.get_secret_value())
    assert fleet.madre.visits[0].header(b"x-vx11-scopes") == b"*"  # so madre takes it for a client, not for a service


@pytest.mark.parametrize("token", ["", "wrong", "vx11_" + "x" * 43, "ñ" * 20])
async def test_nothing_is_forwarded_without_a_good_token(door, fleet, token):
    body = problem_of(await door.ask("POST /madre/chat", body=b"{}", token=token), 401, "unauthorized")
    assert "X-VX11-Token" in body["detail"]
    refused = await door.ask("POST /v1/chat/completions", body=b"{}", token=token)
    assert json.loads(refused.body)["error"]["code"] == "unauthorized"
    assert refused.header(b"www-authenticate") == b"Bearer"
    assert fleet.visits == 0

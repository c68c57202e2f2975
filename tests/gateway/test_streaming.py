"""Bodies pass piece by piece in both directions, and an end on one side is an end on the other."""

import asyncio
import json

import pytest

from config.contracts.spawner import LARGEST_REQUEST_BYTES
from tests.fakes.wire import Broken, Visit
from tests.gateway.test_forwarding import problem_of

PATIENCE = 10.0  # seconds a test waits for an event that must come
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def soon(awaitable):
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def test_events_pass_the_moment_they_come(door, fleet):
    seen = asyncio.Queue[bytes]()

    async def tell(visit: Visit) -> None:
        await visit.send(EVENTS)
        for number in range(5):
            event = b"id: %d\ndata: {}\n\n" % number
            await visit.send(chunk(event[:3]))  # not even an event is waited for: bytes pass as they come
            assert await soon(seen.get()) == event[:3]
            await visit.send(chunk(event[3:]))
            assert await soon(seen.get()) == event[3:]
        await visit.send(b"0\r\n\r\n")

    fleet.madre.behaviour = tell
    async with door.dial() as client:
        await client.send(door.request("GET /madre/plans/p/events"))
        answer = await soon(client.head())
        assert answer.header(b"content-type") == b"text/event-stream"
        while piece := await soon(client.chunk()):
            seen.put_nowait(piece)
    assert seen.empty()


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_an_upload_passes_while_it_is_still_being_sent(door, fleet, framing):
    arrived = asyncio.Queue[bytes]()
    piece = b"x" * 50_000

    async def take(visit: Visit) -> None:
        if framing == "chunked":
            while size := int(await visit.reader.readline(), 16):
                arrived.put_nowait((await visit.reader.readexactly(size + 2))[:-2])
            await visit.reader.readline()
        else:
            for _ in range(4):
                arrived.put_nowait(await visit.reader.readexactly(len(piece)))
        await visit.send(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    fleet.shub.behaviour = take
    async with door.dial() as client:
        header = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {4 * len(piece)}"
        await client.send(door.request("POST /shub/assets", header))
        for _ in range(4):
            await client.send(chunk(piece) if framing == "chunked" else piece)
            got = b""
            while len(got) < len(piece):  # the module has it before the next piece is sent
                got += await soon(arrived.get())
            assert got == piece
        if framing == "chunked":
            await client.send(b"0\r\n\r\n")
        assert (await soon(client.answer())).status == 201


async def test_large_bodies_arrive_unchanged(door, fleet):
    body = bytes(range(256)) * 20_000

    async def echo(visit: Visit) -> None:
        got = await visit.read_body()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(got))
        await visit.send(got)

    fleet.shub.behaviour = echo
    assert (await soon(door.ask("POST /shub/assets", body=body))).body == body


async def test_a_refusal_in_the_middle_of_an_upload_is_told_at_once(door, fleet):
    async def refuse(visit: Visit) -> None:
        await visit.reader.readexactly(1000)
        await visit.send(b"HTTP/1.1 415 Unsupported\r\nContent-Length: 4\r\n\r\nnope")
        await visit.left()  # and nothing more of it is sent here

    fleet.shub.behaviour = refuse
    async with door.dial() as client:
        await client.send(door.request("POST /shub/assets", "Content-Length: 1000000") + b"x" * 100_000)
        answer = await soon(client.answer())
        assert (answer.status, answer.body) == (415, b"nope")
    assert fleet.shub.connections == 1


async def test_expect_100_continue_is_answered_here(door, fleet):
    async with door.dial() as client:
        await client.send(door.request("POST /shub/assets", "Content-Length: 100000", "Expect: 100-continue"))
        assert (await soon(client.head())).status == 100
        await client.send(b"x" * 100_000)
        assert (await soon(client.answer())).status == 200
    assert fleet.shub.visits[0].header(b"expect") is None


# --- the client leaves ---------------------------------------------------------------------------------------------


async def test_when_the_client_leaves_before_the_answer_the_module_learns_it(door, fleet):
    left = asyncio.Event()

    async def wait(visit: Visit) -> None:
        await visit.read_body()
        await visit.left()
        left.set()

    fleet.switch.behaviour = wait
    async with door.dial() as client:
        await client.send(door.request("POST /v1/chat/completions", "Content-Length: 2") + b"{}")
        await soon(fleet.switch.came.wait())
    await soon(left.wait())


async def test_when_the_client_leaves_a_stream_the_module_learns_it(door, fleet):
    left = asyncio.Event()

    async def tell(visit: Visit) -> None:
        await visit.send(EVENTS + chunk(b"data: 1\n\n"))
        await visit.left()
        left.set()

    fleet.switch.behaviour = tell
    async with door.dial() as client:
        await client.send(door.request("GET /madre/plans/p/events").replace(b"/madre/", b"/switch/"))
        await soon(client.head())
        assert await soon(client.chunk()) == b"data: 1\n\n"
    await soon(left.wait())


async def test_when_the_client_leaves_in_the_middle_of_an_upload_the_module_learns_it(door, fleet):
    left = asyncio.Event()

    async def take(visit: Visit) -> None:
        await visit.left()
        left.set()

    fleet.shub.behaviour = take
    async with door.dial() as client:
        await client.send(door.request("POST /shub/assets", "Content-Length: 1000000") + b"x" * 100_000)
        await soon(fleet.shub.came.wait())
    await soon(left.wait())


async def test_a_reader_that_does_not_read_holds_the_module_back(door, fleet):
    written = 0
    stuck = asyncio.Event()

    async def pour(visit: Visit) -> None:
        nonlocal written
        await visit.send(CHUNKED)
        piece = chunk(b"x" * 65_536)
        while written < 2000:
            visit.writer.write(piece)
            try:
                async with asyncio.timeout(1.0):
                    await visit.writer.drain()
            except TimeoutError:
                stuck.set()
                await visit.left()
                return
            written += 1

    fleet.shub.behaviour = pour
    async with door.dial() as client:
        await client.send(door.request("GET /shub/assets/a/content"))
        client.writer.transport.pause_reading()
        await soon(stuck.wait())
    assert written < 500  # of the 125 MiB only what buffers hold


# --- the module fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [CHUNKED + chunk(b"half"), b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", CHUNKED + b"ff\r\nhalf"],
)
async def test_an_answer_that_is_cut_is_seen_to_be_cut(door, fleet, start):
    fleet.madre.answers(start, then_hang_up=True)
    with pytest.raises(Broken):
        await soon(door.ask("GET /madre/plans"))
    fleet.madre.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert (await door.ask("GET /madre/plans")).status == 200


async def test_a_module_that_is_down_is_503_and_says_who(open_door, fleet):
    urls = dict.fromkeys(fleet.all, "http://127.0.0.1:9")
    door = await open_door(service_urls=urls)
    answer = await soon(door.ask("GET /madre/plans", "X-Request-ID: r1"))
    body = problem_of(answer, 503, "upstream_unavailable")
    assert "madre cannot be reached" in body["detail"]
    assert body["request_id"] == "r1"
    assert answer.header(b"retry-after") == b"1"
    openai = await soon(door.ask("POST /v1/chat/completions", body=b"{}"))
    assert openai.status == 503
    assert json.loads(openai.body)["error"]["code"] == "upstream_unavailable"
    upload = await soon(door.ask("POST /shub/assets", body=b"x" * 200_000))
    problem_of(upload, 503, "upstream_unavailable")


async def test_an_address_that_cannot_be_found_is_503(open_door, fleet):
    door = await open_door(service_urls=dict.fromkeys(fleet.all, "http://no-such-host.invalid:1"))
    problem_of(await soon(door.ask("GET /madre/plans")), 503, "upstream_unavailable")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02 nonsense \xff\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000,
    ],
)
async def test_a_module_that_speaks_nonsense_is_502(door, fleet, garbage):
    fleet.madre.answers(garbage, then_hang_up=True)
    body = problem_of(await soon(door.ask("GET /madre/plans")), 502, "upstream_contract")
    assert "madre" in body["detail"]


async def test_broken_chunks_break_the_connection(door, fleet):
    fleet.madre.answers(CHUNKED + chunk(b"good") + b"zz\r\nbad\r\n")
    with pytest.raises(Broken):
        await soon(door.ask("GET /madre/plans"))


async def test_bytes_behind_an_answer_spoil_only_their_connection(door, fleet):
    fleet.madre.answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    )
    for _ in range(3):
        assert (await soon(door.ask("GET /madre/plans"))).body == b"{}"
    assert fleet.madre.connections == 3


async def test_a_module_that_breaks_off_before_its_answer_began_is_503(door, fleet):
    fleet.madre.answers(b"HTTP/1.1 200 OK\r\nContent-", then_hang_up=True)
    problem_of(await soon(door.ask("GET /madre/plans")), 503, "upstream_cut")


async def test_a_module_that_hangs_up_without_a_word_is_503(door, fleet):
    fleet.madre.answers(b"", then_hang_up=True)
    problem_of(await soon(door.ask("POST /madre/chat", body=b"{}")), 503, "connection_lost")
    assert len(fleet.madre.visits) == 1


def hangs_up_on_every_second(fleet) -> None:
    async def behave(visit: Visit) -> None:
        await visit.read_body()
        if len(fleet.madre.visits) == 2:
            visit.hang_up()
        else:
            await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    fleet.madre.behaviour = behave


@pytest.mark.parametrize(
    ("line", "headers"),
    [("GET /madre/plans", []), ("DELETE /madre/x", []), ("POST /madre/chat", ["Idempotency-Key: once"])],
)
async def test_a_kept_connection_that_breaks_is_tried_again_where_that_is_safe(door, fleet, line, headers):
    hangs_up_on_every_second(fleet)
    await door.ask("GET /madre/plans")
    assert (await soon(door.ask(line, *headers, body=b"{}"))).status == 200
    assert [visit.body for visit in fleet.madre.visits[1:]] == [b"{}", b"{}"]


async def test_what_could_happen_twice_is_never_sent_twice(door, fleet):
    hangs_up_on_every_second(fleet)
    await door.ask("GET /madre/plans")
    problem_of(await soon(door.ask("POST /madre/chat", body=b"{}")), 503, "connection_lost")
    assert len(fleet.madre.visits) == 2


# --- too slow ------------------------------------------------------------------------------------------------------


async def never(visit: Visit) -> None:
    await visit.read_body()
    await visit.left()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("gateway_answer_timeout", "POST /madre/chat"),
        ("gateway_generation_timeout", "POST /switch/route"),
        ("gateway_upload_timeout", "POST /shub/assets"),
    ],
)
@pytest.mark.parametrize("size", [2, 200_000])
async def test_a_module_that_does_not_answer_in_time_is_504(open_door, fleet, setting, line, size):
    door = await open_door(**{setting: 0.2, "body_limit_bytes": 1_000_000})
    for module in fleet.all.values():
        module.behaviour = never
    body = problem_of(await soon(door.ask(line, body=b"x" * size)), 504, "upstream_timeout")
    assert "0.2 seconds" in body["detail"]


async def test_silence_in_the_middle_of_an_answer_ends_it(open_door, fleet):
    door = await open_door(gateway_idle_timeout=0.2)

    async def stall(visit: Visit) -> None:
        await visit.send(EVENTS + chunk(b"data: 1\n\n"))
        await visit.left()

    fleet.madre.behaviour = stall
    async with door.dial() as client:
        await client.send(door.request("GET /madre/plans/p/events"))
        await soon(client.head())
        assert await soon(client.chunk()) == b"data: 1\n\n"
        with pytest.raises(Broken):
            await soon(client.chunk())


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_client_that_stops_sending_is_told_so(open_door, fleet, size):
    door = await open_door(gateway_idle_timeout=0.2)
    async with door.dial() as client:
        await client.send(door.request("POST /shub/assets", f"Content-Length: {size}") + b"x" * (size - 1))
        problem_of(await soon(client.answer()), 408, "client_stalled")


async def test_a_module_that_takes_nothing_more_ends_the_upload(open_door, fleet):
    door = await open_door(gateway_idle_timeout=0.2)
    fleet.shub.behaviour = stuck_reader
    async with door.dial() as client:
        await client.send(door.request("POST /shub/assets", "Content-Length: 100000000"))
        sending = asyncio.create_task(client.send(b"x" * 100_000_000))
        problem_of(await soon(client.answer()), 504, "upstream_timeout")
        sending.cancel()


async def stuck_reader(visit: Visit) -> None:
    visit.writer.transport.pause_reading()
    await asyncio.Event().wait()


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("POST /shub/assets", 300_000),
        ("POST /v1/embeddings", 200_000),
        ("POST /madre/chat", 100_000),
        ("POST /spawner/spawn", LARGEST_REQUEST_BYTES),
    ],
)
async def test_bodies_over_the_limit_of_their_path_are_refused(open_door, fleet, line, limit):
    door = await open_door(gateway_upload_limit_bytes=300_000, gateway_v1_limit_bytes=200_000, body_limit_bytes=100_000)
    assert (await soon(door.ask(line, body=b"x" * limit))).status == 200
    visits = fleet.visits
    assert (await soon(door.ask(line, body=b"x" * (limit + 1)))).status == 413
    assert fleet.visits == visits  # its length told it: nobody was bothered
    async with door.dial() as client:
        await client.send(door.request(line, "Transfer-Encoding: chunked"))
        await client.send(chunk(b"x" * limit) + chunk(b"x") + b"0\r\n\r\n")
        assert (await soon(client.answer())).status == 413


async def test_without_settings_the_limits_are_those_of_the_documents(open_door):
    door = await open_door()
    for line, size in (
        ("POST /shub/assets", 2 * 1024**3),
        ("POST /v1/embeddings", 32 * 1024**2),
        ("POST /madre/chat", 1024**2),
        ("POST /shub/mix", 1024**2),
        ("POST /gateway/tokens", 1024**2),
    ):
        async with door.dial() as client:
            await client.send(door.request(line, f"Content-Length: {size + 1}"))
            assert (await soon(client.answer())).status == 413


# --- stopping ------------------------------------------------------------------------------------------------------


async def test_when_the_gateway_stops_event_streams_end_cleanly(door, fleet):
    left = asyncio.Event()

    async def tell(visit: Visit) -> None:
        await visit.send(EVENTS + chunk(b"data: 1\n\n"))
        await visit.left()
        left.set()

    fleet.madre.behaviour = tell
    async with door.dial() as client:
        await client.send(door.request("GET /madre/plans/p/events"))
        await soon(client.head())
        assert await soon(client.chunk()) == b"data: 1\n\n"
        door.app.state.stopping.set()
        assert await soon(client.chunk()) == b""
    await soon(left.wait())

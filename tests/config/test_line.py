"""The line to another service of the fleet, down to the bytes: nothing that is said on it becomes another request."""

import pytest

from config.clients.line import FleetLine
from config.clients.switch import SwitchClient
from config.errors import UpstreamUnavailable
from config.settings import FleetSettings
from tests.fakes.wire import OK, Module, Visit


@pytest.fixture
async def module():
    async with Module().open() as found:
        yield found
    assert not found.troubles


@pytest.fixture
async def line(module):
    found = FleetLine("them", f"http://127.0.0.1:{module.port}", {"X-VX11-Caller": "us"}, connect_seconds=5)
    yield found
    await found.close()


@pytest.mark.parametrize(
    "target",
    ["/a b", "/a HTTP/1.1\r\nX-VX11-Caller: other\r\n\r\nGET /b", "/a\n", "/a\t", "/a\0", "/\u00f1", "", "a", "//\x7f"],
)
async def test_what_is_not_percent_encoded_is_not_sent(module, line, target):
    with pytest.raises(ValueError, match="percent-encoded"):
        await line.ask("GET", target, {}, None, within_seconds=5)
    with pytest.raises(ValueError, match="percent-encoded"):
        async for _ in line.pieces(target, {}, within_seconds=5):
            pass
    assert not module.visits


@pytest.mark.parametrize("value", ["a\r\nX-VX11-Caller: other", "a\nb", "a\rb", "a\0"])
async def test_a_header_stays_one_header(module, line, value):
    with pytest.raises(ValueError, match="line's end"):
        await line.ask("GET", "/a", {"X-Request-ID": value}, None, within_seconds=5)
    assert not module.visits


@pytest.mark.parametrize(("method", "key", "comes"), [("GET", None, 2), ("POST", "k", 2), ("POST", None, 1)])
async def test_only_what_may_be_repeated_is_sent_again_when_a_kept_connection_was_closed(
    module, line, method, key, comes
):
    await line.ask("GET", "/first", {}, None, within_seconds=5)
    asked = 0

    async def leaves_once(visit: Visit) -> None:
        nonlocal asked
        asked += 1
        await visit.read_body()
        if asked == 1:
            visit.hang_up()
        else:
            await visit.send(OK)

    module.behaviour = leaves_once
    headers = {} if key is None else {"Idempotency-Key": key}
    asking = line.ask(method, "/a", headers, b"{}", within_seconds=5)
    if comes == 2:
        assert (await asking).body == b"{}"
    else:
        with pytest.raises(UpstreamUnavailable):
            await asking
    assert asked == comes


async def test_nothing_is_sent_again_because_it_was_late(module, line):
    await line.ask("GET", "/first", {}, None, within_seconds=5)

    async def never(visit: Visit) -> None:
        await visit.left()

    module.behaviour = never
    with pytest.raises(UpstreamUnavailable, match="within"):
        await line.ask("GET", "/a", {}, None, within_seconds=0.05)
    assert len(module.visits) == 2


async def test_a_body_that_breaks_off_is_not_an_answer(module, line):
    async def half(visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        visit.hang_up()

    module.behaviour = half
    with pytest.raises(UpstreamUnavailable, match="broke its answer off"):
        await line.ask("GET", "/a", {}, None, within_seconds=5)


async def test_switch_is_not_waited_for_without_end(state_dir, secrets, monkeypatch):
    seconds = []

    class Listening(FleetLine):
        async def ask(self, *_args, within_seconds: float, **_more):
            seconds.append(within_seconds)
            raise UpstreamUnavailable("not now")

    settings = FleetSettings(state_dir=state_dir, _env_file=None)
    with pytest.raises(UpstreamUnavailable):
        await SwitchClient(settings, secrets, "test", line=Listening).status()
    assert seconds == [10.0]

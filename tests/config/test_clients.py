"""The typed clients: whatever an id holds, the request goes to the route that was meant."""

import httpx
import pytest

from config.clients.hermes_db import HermesDbClient
from config.clients.shub import ShubClient
from config.clients.switch import SwitchClient
from config.errors import UpstreamContractError
from config.settings import FleetSettings
from tests.fakes.line import over

IDS = ["..", ".", "../jobs", "a/b", "a?x=1", "a#b", "%2e%2e", "a b", "\u00f1", "a;b", "a\\b"]


class Recorder(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.paths: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.raw_path)
        return httpx.Response(200, json=[])


@pytest.mark.parametrize("name", IDS)
async def test_an_id_is_one_segment_of_the_path(state_dir, secrets, name):
    recorder = Recorder()
    settings = FleetSettings(state_dir=state_dir, _env_file=None)
    shub, switch, hermes_db = (
        client(settings, secrets, "test", line=over(recorder)) for client in (ShubClient, SwitchClient, HermesDbClient)
    )
    for asking in (shub.asset(name), shub.job(name), switch.decision(name), hermes_db.cli(name)):
        with pytest.raises(UpstreamContractError):
            await asking
    with pytest.raises(UpstreamContractError):
        await shub.delete_asset(name)
    beginnings = [b"/shub/assets/", b"/shub/jobs/", b"/switch/decisions/", b"/hermes_db/clis/", b"/shub/assets/"]
    for path, beginning in zip(recorder.paths, beginnings, strict=True):
        assert path.startswith(beginning)
        assert path.count(b"/") == 3
        assert b"?" not in path

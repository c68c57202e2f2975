"""What the gateway answers itself besides tokens: CORS, metrics, its own description."""

import pytest
from pydantic import ValidationError

from gateway.main import create_app
from gateway.settings import GatewaySettings

PREFLIGHT = {"X-VX11-Token": "", "Origin": "https://studio.example", "Access-Control-Request-Method": "POST"}


@pytest.fixture
def gateway(state_dir, client_of):
    def start(**given):
        return client_of(create_app(GatewaySettings(state_dir=state_dir, _env_file=None, **given)))

    return start


async def test_without_the_setting_no_page_may_call(gateway):
    async with gateway() as client:
        assert (await client.options("/madre/chat", headers=PREFLIGHT)).status_code == 401
        answer = await client.get("/gateway/tokens", headers={"Origin": "https://studio.example"})
        assert "access-control-allow-origin" not in answer.headers


async def test_only_named_origins_may_call(gateway):
    async with gateway(gateway_cors_origins=("https://studio.example",)) as client:
        asked = PREFLIGHT | {"Access-Control-Request-Headers": "x-vx11-token, content-type, idempotency-key"}
        allowed = await client.options("/madre/chat", headers=asked)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://studio.example"
        assert "access-control-allow-credentials" not in allowed.headers
        refused = await client.options("/madre/chat", headers=asked | {"Origin": "https://evil.example"})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
        answer = await client.get("/gateway/tokens", headers={"Origin": "https://studio.example"})
        assert answer.headers["access-control-allow-origin"] == "https://studio.example"


@pytest.mark.parametrize("origin", ["*", "https://*.example", "studio.example", "https://studio.example/"])
def test_origins_are_named_one_by_one(origin, state_dir):
    with pytest.raises(ValidationError, match="is not an origin"):
        GatewaySettings(state_dir=state_dir, _env_file=None, gateway_cors_origins=(origin,))


@pytest.mark.parametrize(
    "url", ["ftp://shub:1", "shub:8006", "http://", "http://shub:8006/under", "http://me:you@shub"]
)
def test_an_address_that_is_none_is_refused_at_the_start(url, state_dir):
    with pytest.raises(ValidationError, match="must be http://host:port"):
        GatewaySettings(state_dir=state_dir, _env_file=None, service_urls={"shub": url})


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_wait_of_no_time_is_refused_at_the_start(seconds, state_dir):
    with pytest.raises(ValidationError, match="gateway_idle_timeout"):
        GatewaySettings(state_dir=state_dir, _env_file=None, gateway_idle_timeout=seconds)


async def test_forwarded_requests_are_counted_by_module(door):
    await door.ask("GET /madre/plans/p1")
    await door.ask("GET /madre/plans/p2")
    await door.ask("POST /v1/chat/completions", body=b"{}")
    text = (await door.ask("GET /gateway/metrics")).body.decode()
    assert 'vx11_requests_total{method="GET",route="/madre/…",service="gateway",status="200"} 2.0' in text
    assert 'vx11_requests_total{method="POST",route="/v1/…",service="gateway",status="200"} 1.0' in text
    assert "p1" not in text


async def test_its_description_tells_of_health_and_tokens(gateway):
    async with gateway() as client:
        paths = (await client.get("/gateway/openapi.json")).json()["paths"]
    assert set(paths) == {
        "/gateway/tokens",
        "/gateway/tokens/{token_id}",
        "/health",
        "/gateway/health",
        "/gateway/metrics",
    }

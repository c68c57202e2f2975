"""The way to a provider over TLS: only to the one that can prove who it is."""

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.tls import trusted
from switch.failures import Failure, FailureKind
from switch.upstream import Address
from tests.fakes.openai_upstream import OpenAIUpstream

BODY = json.dumps({"model": "gpt", "messages": []}).encode()

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="not installed: openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
    subprocess.run(command.split(), check=True, capture_output=True)
    made.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return made


@pytest.fixture
async def secure(certificate: Path) -> AsyncIterator[OpenAIUpstream]:
    upstream, context = OpenAIUpstream(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=context)
    upstream.base_url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    trusted.cache_clear()  # whom each test trusts is another matter
    yield upstream
    trusted.cache_clear()
    upstream.go_on.set()
    server.close()


def address_of(upstream: OpenAIUpstream) -> Address:
    return Address(upstream.base_url, {"authorization": "Bearer key"}, name="mock", connect_seconds=60)


async def test_a_provider_we_trust_is_asked_and_left(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    address = address_of(secure)
    for _ in range(2):
        exchange = await address.post("/chat/completions", BODY, within_seconds=60)
        assert json.loads(await exchange.whole(60))["model"] == "gpt"
        exchange.release()
    assert secure.connections == 1
    secure.behaviour = "silent"
    secure.arrived.clear()
    asking = asyncio.create_task(address.post("/chat/completions", BODY, within_seconds=60))
    await asyncio.wait_for(secure.arrived.wait(), 60)
    asking.cancel()
    await asyncio.wait_for(secure.left.wait(), 60)


async def test_a_provider_that_cannot_prove_itself_never_sees_the_key(secure, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(Failure, match="CERTIFICATE_VERIFY_FAILED") as refused:
        await address_of(secure).post("/chat/completions", BODY, within_seconds=60)
    assert refused.value.kind is FailureKind.UNREACHABLE
    assert not secure.asked

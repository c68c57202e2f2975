"""The requests that the pages give to copy do what they say."""

import json
import re
from pathlib import Path

import pytest

from tests.hermes_db.conftest import HermesDb

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
REQUEST = re.compile(
    r"""curl -s(?: -X (\w+))? "?\$V(/hermes_db/[^"\s]+)"? -H "[^"]*"(?: -H "\$J" -d '(.*?)'\s*$)?""", re.M
)


async def test_every_request_of_the_page_is_taken(hermes_db: HermesDb) -> None:
    await hermes_db.http.put("/hermes_db/clis/git", json={})
    await hermes_db.http.post("/hermes_db/models", json={"name": "m"})
    lease, told = "", list[str]()
    for method, path, body in REQUEST.findall(PAGE.read_text()):
        headers = hermes_db.through_gateway | {"X-VX11-Scopes": "* hermes_db:delete"}
        content = json.loads(body.replace("hf_…", "hf_0123456789")) if body else None
        method = method or ("POST" if body else "GET")
        answer = await hermes_db.http.request(method, path.replace("LEASE", lease), json=content, headers=headers)
        told.append(path)
        if path.endswith("/github/device"):  # there is no client id here
            assert answer.status_code == (409 if method == "POST" else 404)
            continue
        assert answer.is_success, f"{method} {path}: {answer.text}"
        lease = answer.json().get("lease_id", lease)
    assert len(told) > 15

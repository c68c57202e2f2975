"""What a refusal looks like."""

import httpx


def problem(response: httpx.Response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/errors/{code}"
    assert body["service"] == "hermes_db"
    return body

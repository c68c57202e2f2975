"""Requests made up by schemathesis from what a service says of itself, always the same ones, and what is wrong with the answers."""

import os
from collections.abc import Callable
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.conftest import Fleet

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "4"))
"""Requests per route, two of three of them such as the schema takes. `FUZZ_REQUESTS=300` looks deeper, and takes minutes."""
EXPECTED_5XX = frozenset({501, 503, 507})
"""Refusals that are not faults: not in this fleet, a neighbour down, no room. They still have to be documented."""
QUICK = {"max_latency_ms": 1000}
"""What a request says about waiting, beside `wait_seconds` 0, so that a run does not wait for minutes."""


def failures_of(fleet: Fleet, service: str, known: dict[str, object]) -> list[str]:
    """What was answered otherwise than promised, route by route."""
    failures = list[str]()
    with requests.Session() as session:
        sender = Sender(fleet.urls[service], fleet.headers, session, known)
        for result in schemathesis.openapi.from_dict(fleet.schema(service)).get_all_operations():
            operation = result.ok()
            is_common = "common" in (operation.tags or ())  # health and metrics are the same code everywhere
            for mode, part in ((GenerationMode.POSITIVE, 2 / 3), (GenerationMode.NEGATIVE, 1 / 3)):
                try:
                    cases = operation.as_strategy(generation_mode=mode)
                    many = 2 if is_common else max(1, round(REQUESTS * part))
                    _requests(cases, many, sender.send)
                except (FailureGroup, requests.RequestException) as exc:
                    failures.append(f"{operation.label} ({mode.value}): {_told(exc)}")
                except Exception as exc:
                    nothing_would_not_fit = "Unsatisfiable" in type(exc).__name__ or "negat" in str(exc)
                    if not nothing_would_not_fit:
                        raise
    return failures


def _requests(cases: st.SearchStrategy[Case[Any]], many: int, send: Callable[[Case[Any]], None]) -> None:
    @settings(
        max_examples=many,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def run(case: Case[Any]) -> None:
        send(case)

    run()


class Sender:
    """Sends what was made up and checks the answer. Every second request speaks of things that exist."""

    def __init__(self, url: str, headers: dict[str, str], session: requests.Session, known: dict[str, object]) -> None:
        self._url, self._headers, self._session, self._known = url, headers, session, known
        self._sent = 0

    def send(self, case: Case[Any]) -> None:
        """Raises FailureGroup when the answer is not what the OpenAPI promises."""
        self._sent += 1
        if isinstance(case.body, dict):
            case.body = {**case.body, "wait_seconds": 0.0} | (QUICK if "max_latency_ms" in case.body else {})
        if self._sent % 2 and case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = self._known.get(name, case.path_parameters[name])
            case.body = self._with_known(case.body)
        response = case.call(base_url=self._url, session=self._session, headers=self._headers, timeout=30)
        checks = [check for check in CHECKS if self._applies(check, response)]
        case.validate_response(response, checks=checks)

    def _with_known(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._with_known(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._known[name] if name in self._known and name != "name" else self._with_known(inner)
            for name, inner in value.items()
        }

    def _applies(self, check: Any, response: Any) -> bool:
        if check is not_a_server_error:
            return response.status_code not in EXPECTED_5XX
        # OpenAPI 3.1 describes a stream of events as a whole; schemathesis takes the description for that of one event.
        kind = response.headers.get("content-type", [""])[0]
        return check is not response_schema_conformance or not kind.startswith("text/event-stream")


def _told(exc: BaseException) -> str:
    problems = exc.exceptions if isinstance(exc, FailureGroup) else [exc]
    return "\n".join(str(problem) for problem in problems)

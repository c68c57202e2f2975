"""Every service answers as its OpenAPI says, whatever it is sent: requests made up by schemathesis, always the same ones."""

import pytest

from config.settings import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_as_its_openapi_says(service, fleet, known) -> None:
    from tests.contract.fuzzing import failures_of  # what it brings in is for the one worker that runs this

    failures = failures_of(fleet, service, known)
    assert not failures, "\n\n".join(failures)

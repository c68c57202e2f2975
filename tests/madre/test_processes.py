"""Planning of processes on parameters and messages of any shape: a draft or a refusal by name, never anything else."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import utc_now
from config.contracts.common import StatusEnum
from config.contracts.spawner import SpawnRequest, SpawnSummary
from config.errors import InvalidRequest
from config.projects import Project, Recipe
from madre.core import planner
from madre.core.draft import Draft, Known
from madre.core.intents.slots import read_slots
from madre.core.models import IntentName, IntentV2
from madre.core.processes import about

PROCESSES = (IntentName.RUN_PROCESS, IntentName.PROCESS_STATUS, IntentName.KILL_PROCESS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*SpawnRequest.model_fields, "recipe", "spawn_id", "job_name", "language"])
JOB = SpawnSummary(
    spawn_id="spawn_1", name="x-tests", status=StatusEnum.RUNNING, command="make", caller="a", queued_at=utc_now()
)
KNOWN = Known(projects={"x": Project(path=Path("/srv/x"), recipes={"tests": Recipe(command="make")})}, jobs=[JOB])


def planned(name: IntentName, message: str, params: dict, known: Known = KNOWN) -> Draft:
    intent = IntentV2(name=name, domain="process", action="x", params=params)
    return planner.plan(intent, message, planner.named_files(intent), known)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PROCESSES), st.dictionaries(NAMES, JSON, max_size=4))
def test_parameters_of_any_shape_are_planned_or_refused_by_name(name, params):
    refusal, draft = None, None
    try:
        draft = planned(name, "run it", params)
    except InvalidRequest as refused:
        refusal = refused.extra["errors"][0]["field"]
    assert refusal.startswith("params.") if draft is None else draft.steps or draft.question or draft.refusal


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PROCESSES), st.text(alphabet="aé `'\"«»“”‘’\\|$*~\n;xtsproject", max_size=40))
def test_a_message_of_any_shape_runs_what_it_quotes_or_asks(name, said):
    message = f"run {said}"
    draft = planned(name, message, read_slots(name, message))
    assert draft.steps or draft.question or draft.refusal
    for one in draft.steps if name is IntentName.RUN_PROCESS else []:
        words = [one.params["command"], *one.params.get("args", [])]
        assert one.params.get("name") == "x-tests" or all(_unquoted(word) in _unquoted(said) for word in words)


def _unquoted(said: str) -> str:
    return "".join(char for char in said if char not in " \\'\"")


def test_what_would_be_run_is_shown_so_that_nothing_hides_in_it():
    request = SpawnRequest(command="echo", args=["a b", "\u202etxt.exe", "x" * 1000], network="full", project="x")
    shown = about(request, "en")
    assert shown.startswith("`echo 'a b' '\\u202etxt.exe' xxx")
    assert "with all of the network" in shown
    assert "project x" in shown
    assert len(shown) < 500

"""The pages that are written out of the code say what the code says."""

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from config.contracts.spawner import Limits, Reason, SpawnRequest
from config.projects import Project, Recipe
from config.settings import MIB, SERVICES
from madre.core.intents.commands import project_in
from spawner.settings import SpawnerSettings
from vx11 import cli, reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_configuration_page_is_that_of_the_settings():
    assert reference.PAGE.read_text() == reference.page(), "run: python -m vx11.reference"


def test_every_setting_is_explained():
    unexplained = [
        line for line in reference.page().splitlines() if line.startswith("| `VX11_") and line.endswith("|  |")
    ]
    assert unexplained == []


def test_the_map_names_every_service_with_its_port():
    readme = (ROOT / "README.md").read_text()
    for service, port in SERVICES.items():
        assert re.search(rf"`{service}/` \| {port} ", readme), service


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_links_between_pages_lead_somewhere(page):
    for link in re.findall(r"\]\(((?!https?:)[^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def rows_of(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables by what is in backticks in their first cell."""
    lines = [line.strip("| ").split(" | ") for line in (ROOT / page).read_text().splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def number(cell: str) -> float:
    value, _, unit = cell.partition(" ")
    return float(value) * (MIB if unit == "MiB" else 1)


def test_every_field_of_a_job_is_told_with_its_default_and_its_most():
    rows = rows_of("docs/api.md")
    assert SpawnRequest.model_fields.keys() <= rows.keys()
    for name, field in SpawnRequest.model_fields.items():
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert number(rows[name][0]) == field.default, name
    settings = SpawnerSettings(_env_file=None)
    for name in (*Limits.model_fields, "ttl_seconds"):
        assert number(rows[name][1]) == getattr(settings, f"spawner_most_{name.removeprefix('max_')}"), name


def test_every_reason_for_a_jobs_end_is_told():
    assert {str(reason) for reason in Reason} <= rows_of("docs/api.md").keys()


def test_the_example_of_a_project_is_one_and_the_messages_speak_of_it():
    text = (ROOT / "docs" / "api.md").read_text()
    found = json.loads(re.search(r"VX11_PROJECTS='(.*?)'\n\n", text, re.S)[1])
    [(name, project)] = found.items()
    assert Project.model_validate(project).recipes.keys() == {"tests", "list"}
    told = text.split("A recipe has")[1].split(".")[0]
    assert set(re.findall(r"`(\w+)`", told)) == Recipe.model_fields.keys()
    messages = re.findall(r'"message": "([^"]*(?:project|proyecto)[^"]*)"', text)
    assert len(messages) == 4
    assert {project_in(message) for message in messages} == {name}


def test_the_map_names_every_command():
    [row] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `vx11/`")]
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as shown:
        cli.main(["--help"])
    commands = re.findall(r"^    (\w+) ", shown.getvalue(), re.M)
    assert len(commands) > 15
    assert set(re.findall(r"`(?:vx11 )?(\w+)`", row)) == set(commands)

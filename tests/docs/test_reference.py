"""The pages that are written out of the code say what the code says."""

import re
from pathlib import Path

import pytest

from config.settings import SERVICES
from vx11 import reference

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

"""The fleet's secrets: made once, readable by one, never a value that the world knows."""

import stat
import time

import pytest

from config.secrets import FleetSecrets, WeakSecret, load_secrets
from config.settings import FleetSettings

GOOD = "a-long-enough-value"


def load(tmp_path, **options) -> FleetSecrets:
    return load_secrets(FleetSettings(state_dir=tmp_path / "state", _env_file=None, **options))


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_both_for_the_owners_eyes_only(tmp_path):
    found = load(tmp_path)
    folder = tmp_path / "state" / "secrets"
    assert (mode(folder), mode(folder / "token"), mode(folder / "fleet_token")) == (0o700, 0o600, 0o600)
    assert sorted(path.name for path in folder.iterdir()) == ["fleet_token", "token"]
    assert (folder / "token").read_text().strip() == found.owner.get_secret_value()
    assert found.owner != found.fleet
    assert len(found.owner.get_secret_value()) >= 43  # 256 random bits
    assert load(tmp_path) == found


def test_each_is_recognised_and_neither_is_shown(tmp_path):
    found = load(tmp_path)
    owner, fleet = found.owner.get_secret_value(), found.fleet.get_secret_value()
    assert found.is_owner(owner)
    assert found.is_fleet(fleet)
    assert not found.is_owner(fleet)
    assert not found.is_fleet(owner)
    assert not found.is_owner("ñ")
    assert not found.is_owner("")
    assert owner not in repr(found)
    assert fleet not in repr(found)


def test_each_purpose_has_a_key_of_its_own(tmp_path):
    found = load(tmp_path)
    assert len({found.key_for("grants"), found.key_for("other"), load(tmp_path).key_for("grants")}) == 2


@pytest.mark.parametrize("value", ["vx11-local-token", "VX11-Local-Token", "changeme", "short", "x" * 15, " "])
@pytest.mark.parametrize("name", ["token", "fleet_token"])
def test_values_that_are_known_or_short_are_refused(tmp_path, name, value):
    with pytest.raises(WeakSecret, match=f"VX11_{name.upper()} "):
        load(tmp_path, **{name: value})


def test_a_known_value_in_the_file_is_refused_too(tmp_path):
    load(tmp_path)
    (tmp_path / "state" / "secrets" / "token").write_text("vx11-local-token\n")
    with pytest.raises(WeakSecret, match="publicly known"):
        load(tmp_path)


def test_an_empty_file_is_refused_and_not_taken_for_a_secret(tmp_path):
    load(tmp_path)
    (tmp_path / "state" / "secrets" / "fleet_token").write_text("")
    with pytest.raises(WeakSecret, match="shorter"):
        load(tmp_path)


def test_one_value_for_both_is_refused(tmp_path):
    with pytest.raises(WeakSecret, match="must differ"):
        load(tmp_path, token=GOOD, fleet_token=GOOD)


def test_a_configured_value_wins_and_makes_no_file(tmp_path):
    assert load(tmp_path, token=GOOD).is_owner(GOOD)
    assert not (tmp_path / "state" / "secrets" / "token").exists()


STARTER = """
import os, sys, time
from config.secrets import load_secrets
from config.settings import FleetSettings
settings = FleetSettings(state_dir=sys.argv[1], _env_file=None)
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.001)
found = load_secrets(settings)
print(found.owner.get_secret_value(), found.fleet.get_secret_value())
"""


def test_services_that_start_at_once_agree(tmp_path, forks):
    starters = [forks.start(STARTER, str(tmp_path / "state"), str(tmp_path / "go")) for _ in range(4)]
    while any(starter.out.read_text() != "ready\n" for starter in starters):
        time.sleep(0.001)
    (tmp_path / "go").touch()
    assert [starter.wait() for starter in starters] == [0, 0, 0, 0]
    found = [starter.out.read_text().splitlines()[1] for starter in starters]
    assert len(set(found)) == 1
    assert found[0].split()[0] == (tmp_path / "state" / "secrets" / "token").read_text().strip()
    assert len(list((tmp_path / "state" / "secrets").iterdir())) == 2

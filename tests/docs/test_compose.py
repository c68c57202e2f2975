"""The containers are those of the fleet."""

import json
import re
from pathlib import Path

import yaml

from config.settings import SERVICES

ROOT = Path(__file__).resolve().parents[2]


def composed(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())["services"]


def test_every_service_has_a_container_that_knows_the_others():
    services = composed("docker-compose.yml")
    assert services.keys() == {"schema", *SERVICES}
    for name, port in SERVICES.items():
        assert services[name]["command"][-1] == name
        assert services[name]["healthcheck"]["test"][-1] == str(port)
        urls = json.loads(services[name]["environment"]["VX11_SERVICE_URLS"])
        assert urls == {service: f"http://{service}:{there}" for service, there in SERVICES.items()}
    assert services["gateway"]["depends_on"].keys() == {"schema", *SERVICES} - {"gateway"}


def test_no_container_is_given_privileges():
    for file in ("docker-compose.yml", "docker-compose.sandbox.yml", "docker-compose.sandbox-v1.yml"):
        for name, service in composed(file).items():
            assert not {"privileged", "cap_add", "devices", "pid", "user"} & service.keys(), (file, name)
            assert "no-new-privileges:true" in service.get("security_opt", ["no-new-privileges:true"])
    assert all(service["cap_drop"] == ["ALL"] for service in composed("docker-compose.yml").values())


def test_the_profile_that_containers_of_spawner_have_allows_what_bubblewrap_does_and_little_beside():
    [file] = {
        found[1]
        for name in ("docker-compose.yml", "docker-compose.sandbox.yml")
        for option in composed(name)["spawner"]["security_opt"]
        if (found := re.fullmatch(r"seccomp:(.+)", option))
    }
    refused = {name for rule in json.loads((ROOT / file).read_text())["syscalls"] for name in rule["names"]}
    assert not {"clone", "unshare", "mount", "umount2", "pivot_root"} & refused
    assert {
        "bpf",
        "init_module",
        "kexec_load",
        "keyctl",
        "io_uring_setup",
        "ptrace",
        "setns",
        "open_by_handle_at",
    } <= refused


def test_the_image_is_built_from_every_service() -> None:
    taken = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{service}" for service in SERVICES} <= set(taken)

"""Which package indexes this machine uses: read from pip's and npm's own configuration, so that mirrors work and none is written down here.

The files are read, not the programs run: hermes's own environment has no pip, and npm takes half a second to say a word.
"""

import base64
import configparser
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Index:
    """A package index. `url` has no user and password: they are in `headers`, which stay here."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None


def python_indexes(environment: Mapping[str, str]) -> list[Index]:
    """Where pip looks, in its order; empty where nothing is configured or pip is told to ask none. What is not http(s) is left out."""
    options = pip_options(environment)
    if options.get("no-index", "").lower() in TRUE:
        return []
    urls = [*options.get("index-url", "").split(), *options.get("extra-index-url", "").split()]
    return [index for url in urls if (index := _index(url, options.get("cert"))) is not None]


def pip_options(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip is told by its files and variables, by option name; the later of its sources wins, as with pip."""
    found: dict[str, str] = {}
    for file in _pip_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {_pip_name(name): value for name, value in parser.items(section)}
    return found | {
        _pip_name(name.removeprefix("PIP_")): value
        for name, value in environment.items()
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE" and value
    }


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(environment.get("HOME", "/nonexistent"))
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder) / "pip" / "pip.conf" for folder in reversed(shared.split(os.pathsep)) if folder]
    files += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    files += [Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"]
    files += [Path(sys.prefix) / "pip.conf"]
    return files + ([Path(named)] if named else [])


def _pip_name(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


@dataclass(frozen=True)
class NpmConfiguration:
    """npm's settings, as its files and variables have them."""

    options: Mapping[str, str] = field(repr=False)

    def index(self, package: str) -> Index | None:
        """Where npm looks for a package: the registry of its scope, or the usual one. None where none is configured."""
        scope = package.partition("/")[0] if package.startswith("@") else None
        url = self.options.get(f"{scope}:registry") if scope else None
        url = url or self.options.get("registry")
        if not url:
            return None
        index = _index(url, self.options.get("cafile"))
        return None if index is None else Index(index.url, {**index.headers, **self._authorization(url)}, index.ca_file)

    def _authorization(self, url: str) -> dict[str, str]:
        """What npm would show this registry: its options are written under the address without scheme, or a folder above it."""
        parts = urlsplit(url)
        place = "//" + parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
        while len(place) > 2:
            for key in (place, place + "/"):
                if token := self.options.get(f"{key}:_authToken"):
                    return {"Authorization": f"Bearer {token}"}
                if basic := self.options.get(f"{key}:_auth"):
                    return {"Authorization": f"Basic {basic}"}
            place = place.rpartition("/")[0]
        return {}


def npm_configuration(environment: Mapping[str, str]) -> NpmConfiguration:
    """From npm's files (global, then the user's, then the working folder's), then from `npm_config_…` variables."""
    options: dict[str, str] = {}
    variables = {
        name.lower().removeprefix("npm_config_").replace("_", "-"): value
        for name, value in environment.items()
        if name.lower().startswith("npm_config_") and value
    }
    for file in _npm_files(variables, environment):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith((";", "#")):
                options[name.strip()] = _expanded(value.strip().strip("\"'"), environment)
    return NpmConfiguration(options | variables)


def _npm_files(variables: Mapping[str, str], environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME", "/nonexistent"))
    if named := variables.get("globalconfig"):
        shared = [Path(named)]
    else:
        node = shutil.which("node", path=environment.get("PATH", ""))
        prefix = variables.get("prefix") or (str(Path(node).resolve().parent.parent) if node else "/usr/local")
        shared = [Path("/etc/npmrc"), Path(prefix) / "etc" / "npmrc"]
    user = Path(variables.get("userconfig") or home / ".npmrc")
    return [*shared, user, Path(".npmrc")]


def _expanded(value: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}?]+)\??\}", lambda found: environment.get(found[1], ""), value)


def _index(url: str, ca_file: str | None) -> Index | None:
    """The index at an address, with the user and password in it made a header. None for what is not http(s)."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return None
    clean = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if not user and not password:
        return Index(clean, {}, ca_file)
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Index(clean, {"Authorization": f"Basic {secret}"}, ca_file)

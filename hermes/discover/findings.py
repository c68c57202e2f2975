"""What sources say of a tool, gathered into one answer; and how much each way to install it is to be believed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from config.contracts.hermes import DiscoveredCli, DiscoverMethod, InstallHint
from config.contracts.hermes import SearchWarning as Warned

MOST_INSTALLS, MOST_LINKS = 50, 20
LONGEST_LINK, LONGEST_COMMAND, LONGEST_TEXT = 2000, 500, 1000

_DOCUMENTATION = re.compile(
    r"\b(docs?|documentation|manual|guide|handbook|readthedocs|wiki|getting[- ]started)\b", re.I
)
_HOME = re.compile(r"\b(home[- ]?page|home|repository|source( code)?)\b", re.I)
_API = re.compile(r"\b(api|swagger|openapi)\b", re.I)


@dataclass(frozen=True, slots=True)
class Link:
    """A link and what stands on it."""

    label: str
    url: str


@dataclass
class Findings:
    """Filled source by source; the same command or link of two sources is kept once, as the better one has it."""

    cli_name: str
    method: DiscoverMethod
    description: str | None = None
    version: str | None = None
    license: str | None = None
    sources: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    _trust: float = 0.0
    _installs: dict[str, InstallHint] = field(default_factory=dict)
    _documentation: dict[str, None] = field(default_factory=dict)
    _api: dict[str, None] = field(default_factory=dict)
    _homes: dict[str, None] = field(default_factory=dict)

    def install(self, command: str, manager: str, source_url: str, confidence: float) -> None:
        command = " ".join(command.split())
        if not command.isprintable() or len(command) > LONGEST_COMMAND:
            return
        known = self._installs.get(command)
        if known is None or known.confidence < confidence:
            self._installs[command] = InstallHint(
                command=command, manager=manager, source_url=source_url, confidence=round(confidence, 2)
            )

    def facts(self, *, trust: float, description: str | None, version: str | None, license_: str | None) -> None:
        """What a source says of the tool itself; the one that is trusted most is believed, others fill what it leaves open."""
        told = {"description": _line(description), "version": _line(version), "license": _line(license_)}
        for name, value in told.items():
            if value and (trust > self._trust or getattr(self, name) is None):
                setattr(self, name, value)
        self._trust = max(self._trust, trust)

    def links(self, links: Iterable[Link]) -> None:
        """Those of them that lead to documentation or to an API; a home page stands in for documentation that is not named."""
        for link in links:
            if (url := shown(link.url)) is None:
                continue
            place = url.partition("://")[2]
            words = re.sub(r"[/_.?=&-]+", " ", place)
            if _API.search(link.label) or _API.search(words):
                self._api[url] = None
            if _DOCUMENTATION.search(link.label) or _DOCUMENTATION.search(words):
                self._documentation[url] = None
            elif _HOME.fullmatch(link.label):
                self._homes[url] = None

    def source(self, url: str) -> None:
        if (clean := shown(url)) is not None and clean not in self.sources:
            self.sources.append(clean)

    def warn(self, source: str, code: str, detail: str) -> None:
        self.warnings.append(Warned(source=source, code=code, detail=detail))

    def result(self) -> DiscoveredCli:
        """The ways to install it, surest first."""
        installs = sorted(self._installs.values(), key=lambda one: (-one.confidence, len(one.command)))
        return DiscoveredCli(
            cli_name=self.cli_name,
            method=self.method,
            description=self.description,
            version=self.version,
            license=self.license,
            installs=installs[:MOST_INSTALLS],
            documentation_urls=list(self._documentation or self._homes)[:MOST_LINKS],
            api_urls=list(self._api)[:MOST_LINKS],
            sources=self.sources,
            warnings=self.warnings,
        )


def shown(url: str) -> str | None:
    """An http(s) address as it may be shown: without user, password and fragment. None for what is none."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
    except ValueError:
        return None
    clean = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    is_plain = clean.isprintable() and " " not in clean
    return clean if is_plain and len(clean) <= LONGEST_LINK else None


def _line(text: str | None) -> str | None:
    if not isinstance(text, str):
        return None
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST_TEXT]).split())
    return line[:LONGEST_TEXT] or None

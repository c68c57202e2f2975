"""Asking package indexes how a tool is installed: those of the machine's own pip and npm, through their JSON interfaces.

Python: `<base>/pypi/<name>/json` beside `<base>/simple` (the warehouse JSON API), else the JSON form of the simple index (PEP 691) with a
file's own metadata (PEP 658). JavaScript: the registry's `/<name>/latest`, else the whole package document.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import Parser
from typing import Any
from urllib.parse import quote, urljoin

from config.contracts.hermes import DiscoveredCli, DiscoverMethod
from hermes.clis.catalogue import Packages, catalogue
from hermes.discover.allowed import Allowed
from hermes.discover.documents import Document, Documents, Unread, host_of, trust
from hermes.discover.findings import Findings, Link
from hermes.discover.indexes import Index, npm_configuration, python_indexes
from hermes.discover.wheels import TAIL_BYTES, best_wheel, commands_in
from hermes.settings import HermesSettings

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
NO_INDEX = {
    "python": "no index is configured: set index-url in pip's configuration, or PIP_INDEX_URL",
    "npm": "no index is configured: set registry in .npmrc, or npm_config_registry",
}
_PYTHON_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_NPM_NAME = re.compile(r"(?:@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Package:
    """A package as an index tells of it. `commands` is None where it cannot be known which ones it brings."""

    name: str
    source_url: str
    version: str | None = None
    summary: str | None = None
    license: str | None = None
    links: Sequence[Link] = field(default_factory=tuple)
    commands: frozenset[str] | None = None


def confidence(cli_name: str, package: Package, *, is_published: bool) -> float:
    """How sure it is that this package is the tool, 0 to 1.

    `is_published`: our catalogue knows it as the name under which the tool's authors publish it. Any other package only has the tool's
    name, which anybody may have taken: it may bring a command of that name and still be another tool.
    """
    if package.commands is None:
        return 0.9 if is_published else 0.4
    if cli_name in package.commands:
        return 0.95 if is_published else 0.75
    return 0.5 if is_published else 0.15


async def ask_registries(cli_name: str, settings: HermesSettings) -> DiscoveredCli:
    """What the machine's package indexes say. An index that fails is a warning."""
    findings = Findings(cli_name, DiscoverMethod.REGISTRY)
    python, npm = await asyncio.to_thread(lambda: (python_indexes(os.environ), npm_configuration(os.environ)))
    published = published_names(cli_name)
    asked_npm = [
        (name, index) for name in _names(cli_name.lower(), published.npm, _NPM_NAME) if (index := npm.index(name))
    ]
    indexes = [*python, *(index for _, index in asked_npm)]
    tls = await asyncio.to_thread(trust, {index.ca_file for index in indexes if index.ca_file})
    documents = Documents(
        Allowed.of([], settings.hermes_discover_hosts).also(index.url for index in indexes),
        limit_seconds=settings.hermes_discover_timeout.total_seconds(),
        limit_bytes=settings.hermes_discover_limit_bytes,
        tls=tls,
    )
    for kind, is_there in (("python", bool(python)), ("npm", bool(asked_npm))):
        if not is_there:
            findings.warn(kind, "no_index", NO_INDEX[kind])
    try:
        for name in _names(cli_name, published.python, _PYTHON_NAME):
            for index in python:
                package = await _asked(findings, _python_package(documents, index, name, findings), index)
                if package is not None:
                    _tell_python(findings, package, is_published=name == published.python)
        for name, index in asked_npm:
            package = await _asked(findings, _npm_package(documents, index, name), index)
            if package is not None:
                _tell_npm(findings, package, is_published=name == published.npm)
    finally:
        await documents.close()
    if indexes and not findings.sources and not findings.warnings:
        findings.warn("registry", "not_found", f"no index knows a package {cli_name}")
    return findings.result()


def published_names(cli_name: str) -> Packages:
    """Under which names our catalogue knows a tool's packages."""
    return next((one.packages for one in catalogue() if cli_name == one.name or cli_name in one.binaries), Packages())


def _names(cli_name: str, published: str | None, shape: re.Pattern[str]) -> list[str]:
    """The packages to ask for; a name that no package can have is not asked for."""
    names = dict.fromkeys([published, cli_name] if published else [cli_name])
    return [name for name in names if shape.fullmatch(name)]


async def _asked(findings: Findings, asking: Awaitable[Package | None], index: Index) -> Package | None:
    try:
        package = await asking
    except Unread as exc:
        findings.warn(host_of(index.url), exc.code, exc.detail)
        return None
    if package is not None:
        findings.source(package.source_url)
    return package


def _tell_python(findings: Findings, package: Package, *, is_published: bool) -> None:
    sure = confidence(findings.cli_name, package, is_published=is_published)
    if package.commands is None or findings.cli_name in package.commands:
        findings.install(f"pipx install {package.name}", "pipx", package.source_url, sure)
    findings.install(f"pip install {package.name}", "pip", package.source_url, max(sure - 0.05, 0.0))
    _tell(findings, package, sure)


def _tell_npm(findings: Findings, package: Package, *, is_published: bool) -> None:
    sure = confidence(findings.cli_name, package, is_published=is_published)
    findings.install(f"npm install -g {package.name}", "npm", package.source_url, sure)
    _tell(findings, package, sure)


def _tell(findings: Findings, package: Package, sure: float) -> None:
    findings.facts(trust=sure, description=package.summary, version=package.version, license_=package.license)
    findings.links(package.links)


# --- Python --------------------------------------------------------------------------------------------------------


async def _python_package(documents: Documents, index: Index, name: str, findings: Findings) -> Package | None:
    """None where the index does not know it. Raises Unread."""
    simple = index.url.rstrip("/")
    if simple.endswith("/simple"):
        url = f"{simple.removesuffix('/simple')}/pypi/{quote(name)}/json"
        found = await documents.read(url, {"Accept": "application/json"}, secret=index.headers)
        if (
            found.status == 200
            and isinstance(told := _json_or_none(found), dict)
            and isinstance(told.get("info"), dict)
        ):
            return await _by_json(documents, index, name, told, url, findings)
        _refuse(found, index)
    url = f"{simple}/{quote(re.sub(r'[-_.]+', '-', name).lower())}/"
    found = await documents.read(url, {"Accept": SIMPLE_JSON}, secret=index.headers)
    _refuse(found, index)
    if found.status != 200:
        return None
    if not isinstance(told := found.json(), dict) or not isinstance(told.get("files"), list):
        raise Unread("index_wrong", f"{host_of(index.url)} does not have its index as JSON (PEP 691)")
    return await _by_simple(documents, index, name, told, found.url, findings)


async def _by_json(
    documents: Documents, index: Index, name: str, told: dict[str, Any], url: str, findings: Findings
) -> Package:
    info = told["info"]
    urls = info.get("project_urls")
    links = [Link(str(label), str(link)) for label, link in (urls.items() if isinstance(urls, dict) else ())]
    links += [Link(label, str(info[key])) for key, label in (("docs_url", "documentation"),) if info.get(key)]
    files = [one for one in _list(told.get("urls")) if isinstance(one, dict)]
    return Package(
        name=name,
        source_url=url,
        version=_text(info.get("version")),
        summary=_text(info.get("summary")),
        license=_text(info.get("license_expression")) or _short_license(info),
        links=links,
        commands=await _commands(documents, index, files, url, findings),
    )


async def _by_simple(
    documents: Documents, index: Index, name: str, told: dict[str, Any], url: str, findings: Findings
) -> Package:
    files = [one for one in told["files"] if isinstance(one, dict) and isinstance(one.get("filename"), str)]
    files = [one for one in files if not one.get("yanked")]
    newest = max((_version_of(one["filename"], name) for one in files), key=_age, default=None)
    files = [one for one in files if _version_of(one["filename"], name) == newest]
    metadata = await _metadata(documents, index, files, url)
    labelled = [one.partition(",") for one in metadata.get_all("Project-URL", [])]
    return Package(
        name=name,
        source_url=url,
        version=newest,
        summary=metadata.get("Summary"),
        license=metadata.get("License-Expression") or metadata.get("License"),
        links=[Link(label.strip(), link.strip()) for label, _, link in labelled],
        commands=await _commands(documents, index, files, url, findings),
    )


async def _metadata(documents: Documents, index: Index, files: list[dict[str, Any]], base: str) -> Message:
    """A wheel's own metadata, which an index may have beside it (PEP 658); empty where it has not."""
    wheel = best_wheel([one for one in files if one.get("core-metadata") or one.get("dist-info-metadata")])
    if wheel is not None and (url := _file_url(wheel, base)):
        try:
            found = await documents.read(f"{url}.metadata", {}, secret=_own(index, url))
        except Unread:
            return Message()
        if found.status == 200:
            return Parser().parsestr(found.body.decode(errors="replace"), headersonly=True)
    return Message()


async def _commands(
    documents: Documents, index: Index, files: list[dict[str, Any]], base: str, findings: Findings
) -> frozenset[str] | None:
    """Which commands the package brings, read from the end of a wheel; None where that cannot be read."""
    wheel = best_wheel(files)
    if wheel is None or not (url := _file_url(wheel, base)):
        return None
    try:
        found = await documents.read(url, {"Range": f"bytes=-{TAIL_BYTES}"}, secret=_own(index, url))
    except Unread as exc:
        findings.warn(host_of(url), exc.code, f"what the package brings is not known: {exc.detail}")
        return None
    told = await asyncio.to_thread(commands_in, found.body) if found.status in (200, 206) else None
    return None if told is None else frozenset(told)


def _own(index: Index, url: str) -> dict[str, str]:
    """The index's credentials, for its own host only."""
    return dict(index.headers) if host_of(url) == host_of(index.url) else {}


def _file_url(file: dict[str, Any], base: str) -> str | None:
    url = file.get("url")
    try:
        return urljoin(base, url).partition("#")[0] if isinstance(url, str) and url else None
    except ValueError:  # such as an address in brackets that do not close
        return None


def _version_of(filename: str, name: str) -> str | None:
    """The version in a wheel's or a source archive's name."""
    prefix = "[-_.]+".join(re.escape(part) for part in re.split(r"[-_.]+", name))
    found = re.fullmatch(rf"{prefix}-([^-]+)(?:-.*\.whl|\.tar\.gz|\.zip)", filename, re.IGNORECASE)
    return found[1] if found else None


def _age(version: str | None) -> tuple[bool, bool, tuple[int, ...]]:
    """Sorts versions, released ones above those that announce themselves as drafts."""
    if version is None:
        return False, False, ()
    numbers = re.match(r"(?:[0-9]+!)?([0-9]+(?:\.[0-9]+)*)", version[:100])
    is_released = re.search(r"(a|b|rc|dev)\d*", version) is None
    return True, is_released, tuple(int(one) for one in numbers[1].split(".")) if numbers else ()


def _short_license(info: dict[str, Any]) -> str | None:
    """The licence's name: some put its whole text there, and then its classifier says it in a word."""
    if (text := _text(info.get("license"))) and len(text) <= 60:
        return text
    told = [str(one) for one in _list(info.get("classifiers")) if str(one).startswith("License ::")]
    return told[0].rpartition("::")[2].strip() if told else None


# --- JavaScript ----------------------------------------------------------------------------------------------------


async def _npm_package(documents: Documents, index: Index, name: str) -> Package | None:
    """None where the registry does not know it. Raises Unread."""
    base = f"{index.url.rstrip('/')}/{quote(name, safe='@')}"
    found = await documents.read(f"{base}/latest", {"Accept": "application/json"}, secret=index.headers)
    _refuse(found, index)
    told = _json_or_none(found) if found.status == 200 else None
    if not isinstance(told, dict) or "version" not in told:  # registries that only have the whole document
        found = await documents.read(base, {"Accept": "application/json"}, secret=index.headers)
        _refuse(found, index)
        if found.status != 200:
            return None
        told = _newest(found.json(), index)
    homepage, repository = told.get("homepage"), told.get("repository")
    links = [Link("homepage", homepage)] if isinstance(homepage, str) else []
    if isinstance(repository, dict) and isinstance(repository.get("url"), str):
        links.append(Link("repository", repository["url"].removeprefix("git+")))
    return Package(
        name=name,
        source_url=base,
        version=_text(told.get("version")),
        summary=_text(told.get("description")),
        license=_text(told.get("license")),
        links=links,
        commands=frozenset(_npm_commands(name, told.get("bin"))),
    )


def _newest(whole: Any, index: Index) -> dict[str, Any]:
    """The newest version in a package's whole document. Raises Unread."""
    try:
        newest: dict[str, Any] = dict(whole["versions"][whole["dist-tags"]["latest"]])
    except (KeyError, TypeError, ValueError) as exc:
        raise Unread("index_wrong", f"{host_of(index.url)} names no newest version") from exc
    return newest


def _npm_commands(name: str, told: Any) -> list[str]:
    if isinstance(told, dict):
        return [str(one) for one in told]
    return [name.rpartition("/")[2]] if isinstance(told, str) else []


# --- both ----------------------------------------------------------------------------------------------------------


def _refuse(found: Document, index: Index) -> None:
    """Raises Unread for an answer that says neither yes nor no."""
    host = host_of(index.url)
    if found.status in (401, 403):
        raise Unread("index_refused", f"{host} wants other credentials than the machine's configuration has")
    if found.status == 429 or found.status >= 500:
        raise Unread("index_unwell", f"{host} answered {found.status}")


def _json_or_none(found: Document) -> Any:
    try:
        return found.json()
    except Unread:
        return None


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

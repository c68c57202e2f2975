"""Install commands in the text of pages: text in, commands out. A command is only ever shown to people."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

LONGEST_LINE = 1000

_OPTIONS = r"(?:\s+-\S+)*\s+"
_MANAGERS: tuple[tuple[str, str], ...] = (
    ("brew", rf"\bbrew\s+install{_OPTIONS}(?P<what>.+)"),
    ("apt", rf"\bapt(?:-get)?{_OPTIONS}install{_OPTIONS}(?P<what>.+)"),
    ("dnf", rf"\b(?:dnf|yum){_OPTIONS}install{_OPTIONS}(?P<what>.+)"),
    ("pacman", rf"\bpacman\s+-S\w*{_OPTIONS}(?P<what>.+)"),
    ("apk", rf"\bapk{_OPTIONS}add{_OPTIONS}(?P<what>.+)"),
    ("zypper", rf"\bzypper{_OPTIONS}in(?:stall)?{_OPTIONS}(?P<what>.+)"),
    ("snap", rf"\bsnap\s+install{_OPTIONS}(?P<what>.+)"),
    ("pipx", rf"\bpipx\s+install{_OPTIONS}(?P<what>.+)"),
    ("uv", rf"\buv\s+(?:tool|pip)\s+install{_OPTIONS}(?P<what>.+)"),
    ("pip", rf"(?<!uv )\bpip3?\s+install{_OPTIONS}(?P<what>.+)"),
    ("npm", rf"\bnpm\s+(?:i|install|add){_OPTIONS}(?P<what>.+)"),
    ("pnpm", rf"\bpnpm\s+(?:add|i|install){_OPTIONS}(?P<what>.+)"),
    ("yarn", rf"\byarn\s+global\s+add{_OPTIONS}(?P<what>.+)"),
    ("cargo", rf"\bcargo\s+(?:b?install){_OPTIONS}(?P<what>.+)"),
    ("go", rf"\bgo\s+install{_OPTIONS}(?P<what>.+)"),
    ("docker", rf"\b(?:docker|podman)\s+(?:pull|run){_OPTIONS}(?P<what>.+)"),
    (
        "script",
        r"\b(?:curl|wget)\b(?=[^|]*+\|)(?=[^|]*https?://[^|])(?P<what>[^|]++)\|\s*(?:sudo\s+)?(?:env\s+\S+\s+)*+(?:ba|z|da)?sh\b",
    ),
    ("script", r"\b(?:ba|z)?sh\s+(?:-c\s+\"\$|<)\((?:curl|wget)(?P<what>.+)"),
)
MANAGERS = tuple((name, re.compile(pattern)) for name, pattern in _MANAGERS)

_PROMPT = re.compile(r"^\s*(?:[$#>%❯]\s+|PS>\s*)+")
_COMMENT = re.compile(r"\s+#\s.*$")
_BLANKS = re.compile(r"[^\S\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]++")
_GOES_ON = re.compile(r" ?\\\r?\n ?")
_END = re.compile(r"\s(?:&&|\|\||;|\|)\s?|;$")


@dataclass(frozen=True, slots=True)
class Command:
    """An install command of a page, and how sure it is that it installs the tool, 0 to 1."""

    text: str
    manager: str
    confidence: float


def install_commands(block: str, names: Iterable[str], page_url: str) -> Iterator[Command]:
    """The commands in a block of text that install something by one of these names (the tool's and its packages').

    Surest is a package of exactly that name, on a page whose address ends with the tool's name. A script that is fetched and run at once
    is never sure: what it does is not on the page.
    """
    wanted = {name.lower() for name in names}
    bonus = 0.15 if is_about(page_url, wanted) else 0.0
    for line in _lines(block):
        if not any(name in line.lower() for name in wanted):
            continue
        for manager, pattern in MANAGERS:
            if (found := pattern.search(line)) is None:
                continue
            if manager == "script":
                sure = 0.2 if _mentions(line, wanted) else 0.0
            else:
                sure = _match(_END.split(found["what"])[0], wanted)
                sure = sure + bonus if sure else 0.0
            if sure:
                yield Command(line, manager, sure)
            break


def is_about(url: str, names: Iterable[str]) -> bool:
    """Whether a page's address ends with one of these names."""
    try:
        last = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2].lower()
    except ValueError:
        return False
    return last in {name.lower() for name in names}


def worth_following(links: Iterable[str], names: Iterable[str], page_url: str, *, most: int) -> list[str]:
    """The links of a page of results that lead to a page about the tool, on the same host, in the page's order."""
    wanted = {name.lower() for name in names}
    found: dict[str, None] = {}
    for link in links:
        try:
            parts, page = urlsplit(link), urlsplit(page_url)
            is_near = (parts.scheme, parts.netloc) == (page.scheme, page.netloc)
        except ValueError:
            continue
        target = f"{parts.scheme}://{parts.netloc}{parts.path}"
        if is_near and parts.path != page.path and is_about(target, wanted):
            found[target] = None
    return list(found)[:most]


def _lines(block: str) -> Iterator[str]:
    text = _BLANKS.sub(" ", block)  # patterns look at a run of blanks for as long as its length squared
    for line in _GOES_ON.sub(" ", text).splitlines():
        clean = _COMMENT.sub("", _PROMPT.sub("", line)).strip()
        if clean and len(clean) <= LONGEST_LINE and clean.isprintable():
            yield clean


def _match(what: str, wanted: set[str]) -> float:
    """How well the things that a command installs fit: 0.7 for the very name, 0.55 for one under an owner or a path, 0.3 for a mention."""
    best = 0.0
    for word in what.split():
        token = word.strip("\"'`,;").lower()
        if not token or token.startswith("-"):
            continue
        bare = re.sub(r"(?<=.)(?:@|:|==|>=|~=|\[).*$", "", token)
        if bare in wanted:
            return 0.7
        parts = [part for part in bare.split("/") if not re.fullmatch(r"v\d+|\.+", part)]
        if len(parts) > 1 and parts[-1] in wanted:
            best = max(best, 0.55)
        elif _mentions(token, wanted):
            best = max(best, 0.3)
    return best


def _mentions(text: str, wanted: set[str]) -> bool:
    return any(re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text.lower()) for name in wanted)

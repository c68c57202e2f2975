"""Commands that a person quoted, taken word for word: what is not in quotes or backticks is never run."""

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum

from madre.core.intents.text import listed

_TICKED = re.compile(r"```(?:[\w+-]*\n)?(.+?)```|`([^`]+)`", re.S)
_QUOTED = re.compile(r"«([^«»]+)»|“([^“”]+)”|\"([^\"]+)\"|(?<!\w)‘([^‘’]+)’(?!\w)|(?<!\w)'([^']+)'(?!\w)")
_EMPTY_PAIR = re.compile(r"(?<![`\w])`\s*`(?!`)|(?<!`)```\s*```|(?<!\w)\"\s*\"|(?<!\w)'\s*'|«\s*»|“\s*”|‘\s*’")
_SETS_VARIABLE = re.compile(r"[A-Za-z_]\w*=")
_NAME = r"\w[\w.\-/]{0,63}"
_CALLED = r"\b(?:project|proyecto):?\s+(?:(?:called|named|llamado)\s+)?"
_PROJECT = re.compile(rf"{_CALLED}({_NAME})", re.I)
_BEFORE_A_NAME = re.compile(rf"{_CALLED}$", re.I)
_NO_NAMES = listed(
    "and y e to with con please por porfa now ahora again otra de del of in en is es that que for para a the el la los las it as "
    "using usando from desde me my mi este esta this"
)
_OPERATORS = frozenset("|&;<>()\n`")
_DOUBLED = frozenset("|&<>")
_PATTERNS = frozenset("*?[~{")


class Trouble(StrEnum):
    """Why a command line cannot be run as it stands."""

    EMPTY = "empty"
    QUOTES = "quotes"
    """A quote is opened and not closed."""
    SHELL = "shell"
    """It needs a shell: a pipe, a redirection, a variable, a second command."""
    VARIABLE = "variable"
    """It begins with a variable that a shell would have set: `FOO=1 ls`."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line in its words, as a shell would split it and nothing more; or why that cannot be."""

    words: tuple[str, ...] = ()
    trouble: Trouble | None = None
    sign: str = ""
    """What a shell would have understood (an operator, a variable): the trouble, or a pattern that stays as it is written."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """What is quoted in a message as a command, in order, and the message without it."""

    pieces: tuple[str, ...]
    rest: str


def quotes_in(message: str) -> Quotes:
    """What is in backticks, or where nothing is, in quotes. A quoted name behind the word "project" is a name."""
    found = _taken(_TICKED, message)
    return found if found.pieces else _taken(_QUOTED, message)


def has_empty_pair(message: str) -> bool:
    """Whether a message quotes nothing where a command could stand."""
    return not quotes_in(message).pieces and _EMPTY_PAIR.search(message) is not None


def project_in(message: str) -> str | None:
    """The name that follows the word "project" outside the quoted command; None where there is none."""
    hit = _PROJECT.search(_taken(_QUOTED, _taken(_TICKED, message).rest).rest)
    return hit[1].rstrip(".-/") if hit and hit[1].lower() not in _NO_NAMES else None


def split(line: str) -> CommandLine:
    """The words of a command line. No shell is ever behind it, so what only a shell understands is told as a trouble."""
    sign = _shell_sign(line)
    if sign and sign not in _PATTERNS:
        return CommandLine(trouble=Trouble.SHELL, sign=sign)
    try:
        words = tuple(shlex.split(line))
    except ValueError:
        return CommandLine(trouble=Trouble.QUOTES)
    if not words or not words[0]:
        return CommandLine(trouble=Trouble.EMPTY)
    if sets := _SETS_VARIABLE.match(words[0]):
        return CommandLine(trouble=Trouble.VARIABLE, sign=sets[0])
    return CommandLine(words, sign=sign)


def _taken(form: re.Pattern[str], message: str) -> Quotes:
    pieces: dict[str, None] = {}

    def take(hit: re.Match[str]) -> str:
        piece = next(group for group in hit.groups() if group is not None).strip()
        if _BEFORE_A_NAME.search(message, max(0, hit.start() - 40), hit.start()) and re.fullmatch(_NAME, piece):
            return f" {piece} "
        if piece:
            pieces[piece] = None
        return " "

    rest = form.sub(take, message)
    return Quotes(tuple(pieces), rest)


def _shell_sign(line: str) -> str:
    """The first unquoted operator or variable of a line; else its first unquoted pattern; else "" ."""
    quote, pattern, at = "", "", 0
    while at < len(line):
        char = line[at]
        if char == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            if char == quote:
                quote = ""
            elif quote == '"' and _is_variable(line, at):
                return "$"
        elif char in "'\"":
            quote = char
        elif char in _OPERATORS:
            return char * 2 if char in _DOUBLED and line[at + 1 : at + 2] == char else char
        elif _is_variable(line, at):
            return "$"
        elif char in _PATTERNS and not pattern and (char != "~" or at == 0 or line[at - 1].isspace()):
            pattern = char
        at += 1
    return pattern


def _is_variable(line: str, at: int) -> bool:
    return line[at] == "$" and re.match(r"\$[\w{(@#?*!$-]", line[at : at + 2]) is not None

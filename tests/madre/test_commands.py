"""A command is run word for word as it was quoted, or not at all."""

import pytest

from madre.core.intents.commands import Trouble, has_empty_pair, project_in, quotes_in, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python3 -c 'print(6*7)'", ("python3", "-c", "print(6*7)")),
        ("echo \"a;b\" '$HOME' c\\ d", ("echo", "a;b", "$HOME", "c d")),
        ("echo 5$ x~y", ("echo", "5$", "x~y")),
        ("ls '' -l", ("ls", "", "-l")),
        ("echo ñandú 🎚️", ("echo", "ñandú", "🎚️")),
    ],
)
def test_a_line_is_split_as_a_shell_would(line, words):
    assert split(line).words == words
    assert split(line).sign == ""


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("ls | wc -l", "|"),
        ("make && make test", "&&"),
        ("make || true", "||"),
        ("make &", "&"),
        ("FOO=$X make", "$"),
        ("make; rm x", ";"),
        ("sort < a", "<"),
        ("echo a > b", ">"),
        ("echo $HOME", "$"),
        ('echo "$(id)"', "$"),
        ("echo `id`", "`"),
        ("make\nmake test", "\n"),
    ],
)
def test_what_only_a_shell_understands_is_not_run(line, sign):
    found = split(line)
    assert (found.words, found.trouble, found.sign) == ((), Trouble.SHELL, sign)


@pytest.mark.parametrize(
    ("line", "trouble"), [("echo 'a", Trouble.QUOTES), ("  ", Trouble.EMPTY), ("''", Trouble.EMPTY)]
)
def test_a_line_without_a_command_says_so(line, trouble):
    assert split(line).trouble is trouble


@pytest.mark.parametrize("line", ["ls *.py", "cat ~/notes", "ls a?", "echo {1,2}"])
def test_patterns_stay_as_they_are_and_are_told(line):
    found = split(line)
    assert found.words == tuple(line.split())
    assert found.sign


@pytest.mark.parametrize("line", ["FOO=1 ls", "FOO= ls", "_a1=b", "'FOO=1' ls"])
def test_a_variable_before_the_command_is_told(line):
    found = split(line)
    assert (found.words, found.trouble, found.sign) == ((), Trouble.VARIABLE, line.strip("'").partition("=")[0] + "=")


def test_a_variable_behind_the_command_is_a_word():
    assert split("env FOO=1 ls").words == ("env", "FOO=1", "ls")


@pytest.mark.parametrize(
    ("message", "is_empty"),
    [
        ("run ``", True),
        ("run ` `", True),
        ("run ''", True),
        ('run ""', True),
        ("ejecuta «»", True),
        ("run ``````", True),
        ("run `ls ''`", False),
        ("run it, don''t wait", False),
        ("run ls", False),
    ],
)
def test_quotes_around_nothing_are_seen(message, is_empty):
    assert has_empty_pair(message) is is_empty


@pytest.mark.parametrize(
    ("message", "pieces"),
    [
        ("run `a b`", ("a b",)),
        ("run 'a b', don't wait", ("a b",)),
        ('run «say "hi"»', ('say "hi"',)),
        ("run `a` and `b`", ("a", "b")),
        ("run `a`, I said `a`", ("a",)),
        ("run make in project `x`", ()),
        ("run rm -rf /", ()),
        ("run ``", ()),
    ],
)
def test_only_what_is_quoted_is_a_command(message, pieces):
    assert quotes_in(message).pieces == pieces


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("run the tests of project vx11.", "vx11"),
        ("corre los tests del proyecto «vx11»", "vx11"),
        ("run the tests of the project", None),
        ("run the project and wait", None),
        ("run `ls project x`", None),
    ],
)
def test_a_project_is_named_after_its_word(message, name):
    assert project_in(message) == name

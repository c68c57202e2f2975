"""How a command says that it could not do what it was asked."""


class CommandFailed(Exception):
    """The text is for the person at the terminal: what went wrong and what to do, in a line or two."""

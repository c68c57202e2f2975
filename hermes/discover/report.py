"""What travels between hermes and the process that looks at pages for it."""

from config.contracts.common import Wire

MOST_FOLLOWED = 2
"""Pages that are looked at beyond one of the settings' pages, because it leads to them."""


class Order(Wire):
    """What to look at. `names` are the tool's and its packages'."""

    pages: list[str]
    names: list[str]
    public: list[tuple[str, int]]
    named: list[str]
    browser: str
    is_sandboxed: bool
    page_seconds: float
    limit_bytes: int


class Seen(Wire):
    """A page that was read."""

    url: str
    description: str | None
    blocks: list[str]
    links: list[tuple[str, str]]


class Trouble(Wire):
    source: str
    code: str
    detail: str


class Report(Wire):
    """What was seen. `broken` is why the browser could not work at all."""

    pages: list[Seen] = []
    troubles: list[Trouble] = []
    broken: str | None = None

"""Cursors of hermes_db's lists: whole numbers."""

from config.contracts.hermes_db import LARGEST_INTEGER
from config.errors import InvalidRequest
from config.pages import PageQuery
from hermes_db.repository import Window


def window_of(page: PageQuery) -> Window:
    """The rows of a page, and one more, which only says that there is more. Raises InvalidRequest for a cursor of another list."""
    cursor = page.cursor or "0"
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor[:20]) > LARGEST_INTEGER:
        problem = {"field": "query.cursor", "message": "is not a next_cursor of this list"}
        raise InvalidRequest("query.cursor: is not a next_cursor of this list", errors=[problem])
    return Window(after=int(cursor), most=page.limit + 1)

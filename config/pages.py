"""Lists on the wire: `{items, next_cursor}` with `?limit=&cursor=`."""

from typing import Annotated, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from config.contracts.common import Page

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 500


class PageQuery(BaseModel):
    """Where a page starts (the cursor is the id of the last item seen) and how many items it may hold."""

    limit: int
    cursor: str | None


async def _page_query(
    limit: Annotated[int, Query(ge=1, le=LARGEST_LIMIT, description="Most items in one page")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> PageQuery:
    return PageQuery(limit=limit, cursor=cursor)


PageDep = Annotated[PageQuery, Depends(_page_query)]


Item = TypeVar("Item")


def page_of(items: list[Item], query: PageQuery, *, cursor: str) -> Page[Item]:
    """A page out of up to `limit + 1` rows: the row too many only says that there is more.

    `cursor` names the attribute of an item that the next page starts after.
    """
    shown = items[: query.limit]
    more = len(items) > query.limit
    return Page[Item](items=shown, next_cursor=str(getattr(shown[-1], cursor)) if more else None)

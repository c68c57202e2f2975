"""A file as an answer, or a part of it."""

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from shub.errors import NoSuchPart


class AudioFile(FileResponse):
    """FileResponse, but a part that is not there is refused as a problem, and a Range that is none is passed over (RFC 9110, 14.2)."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as exc:
            raise NoSuchPart(
                f"the file has {file_size} bytes", headers={"Content-Range": f"bytes */{file_size}"}
            ) from exc

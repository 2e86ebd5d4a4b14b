"""From a request's body to the pictures in it: one as raw bytes, or several as multipart form data."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from etude.pictures.reading import printable, starts_as_picture
from etude.runtime.serving.guard import RefusedError

_MOST_FIELDS = 16
_FORM = "multipart/form-data"
_URLENCODED = "application/x-www-form-urlencoded"


async def read_pictures(request: Request, max_pictures: int, max_bytes: int) -> tuple[list[tuple[str, bytes]], bool]:
    """Return the name and the bytes of every picture, and whether they came as a form.

    Raises:
        RefusedError: if the form is no form, or holds no picture or too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        content = await request.body()
        if kind == _URLENCODED and not starts_as_picture(content):  # curl says so of any file that it is not told of
            told = f"The body is {_URLENCODED} and no picture. "
            raise RefusedError(415, "type", told + "Send the bytes of a picture, or several as multipart/form-data.")
        if not content:
            raise RefusedError(422, "empty", "The request holds no picture: send its bytes as the body.")
        return [("", content)], False
    parser = MultiPartParser(request.headers, request.stream(), max_files=max_pictures, max_fields=_MOST_FIELDS)
    for name in ("spool_max_size", "max_file_size"):  # what Starlette calls it now, and called it before 0.46
        setattr(parser, name, max_bytes)  # the body is bounded already: nothing of it goes to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, "form", f"The form cannot be read: {error.message}") from error
    except (KeyError, ValueError, AssertionError, IndexError, UnicodeError) as error:
        raise RefusedError(400, "form", "The form cannot be read.") from error
    try:
        for name, part in form.multi_items():
            if not isinstance(part, UploadFile):
                told = f"The field {printable(name)[:100]!r} of the form is no file. "
                raise RefusedError(422, "form", told + "Send each picture as a file: curl -F pictures=@rex.jpg")
        found = [
            (printable(part.filename or name)[:200], await part.read())
            for name, part in form.multi_items()
            if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()
    if not found:
        raise RefusedError(422, "empty", "The form holds no file.")
    return found, True

"""One family of errors: what happened, where, and what to do.

The HTTP face turns a :class:`PlumblineError` into an RFC 9457 ``application/problem+json`` document, the command line
into one line with an exit code, a page into the errors of its form. Code that meets an error of the outside world
(a driver, a file system, a parser) translates it into one of these at the edge and nowhere else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a fault in what was given: any part may be unknown.

    ``row`` counts data rows from 1; ``line`` is the physical line of a text file, its header being line 1.
    """

    file: str | None = None
    table: str | None = None
    row: int | None = None
    line: int | None = None
    column: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        parts = (
            (self.file, "{}"),
            (self.table, "table {}"),
            (self.line, "line {}"),
            (self.row if self.line is None else None, "row {}"),
            (self.column, "column {}"),
            (self.field, "field {}"),
        )
        return ", ".join(text.format(value) for value, text in parts if value is not None)

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class PlumblineError(Exception):
    """Something a person can be told about.

    :param detail: what happened, one sentence, no secrets and no personal data.
    :param where: file, row, column or field the fault is in.
    :param remedy: what to do about it, one sentence in the imperative.
    :param errors: further faults of the same input, each with its own place (a form, a file).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        detail: str,
        *,
        where: Where | None = None,
        remedy: str | None = None,
        errors: tuple[PlumblineError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.remedy = remedy
        self.errors = errors

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where and str(self.where) else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.detail}{remedy}"

    def problem(self) -> dict[str, Any]:
        """The members of an RFC 9457 problem document."""
        body: dict[str, Any] = {
            "type": f"urn:plumbline:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.where:
            body["where"] = self.where.as_dict()
        if self.remedy:
            body["remedy"] = self.remedy
        if self.errors:
            body["errors"] = [
                {"detail": e.detail, "where": e.where.as_dict() if e.where else {}, "remedy": e.remedy}
                for e in self.errors
            ]
        return body


class InvalidInput(PlumblineError):
    """What was given cannot be used; nothing was changed."""

    status, code, title, exit_code = 422, "invalid-input", "The input cannot be used", 1


class Usage(PlumblineError):
    """The call itself is wrong (an unknown option, two that exclude each other)."""

    status, code, title, exit_code = 400, "usage", "The call is wrong", 2


class NotSignedIn(PlumblineError):
    status, code, title = 401, "not-signed-in", "Sign in first"


class Forbidden(PlumblineError):
    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(PlumblineError):
    """Nothing of that name or id in this organization (another organization's rows do not exist either)."""

    status, code, title = 404, "not-found", "Not found"


class Conflict(PlumblineError):
    """The state of things does not permit this now: a taken name, a job that has ended, two at once."""

    status, code, title = 409, "conflict", "Conflict"


class TooLarge(PlumblineError):
    status, code, title = 413, "too-large", "Too large"


class TooMany(PlumblineError):
    """Rate limit; ``retry_after`` is in whole seconds."""

    status, code, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str, *, retry_after: int, **rest: Any) -> None:
        super().__init__(detail, **rest)
        self.retry_after = retry_after


class Corrupt(PlumblineError):
    """Stored bytes are not what their hash says, or a model does not reproduce its own golden rows."""

    status, code, title = 500, "corrupt", "Stored data is damaged"


class Unavailable(PlumblineError):
    """A part this needs is not there now: the database, the disk, an extra that is not installed."""

    status, code, title = 503, "unavailable", "Not available now"


class MissingExtra(Unavailable):
    """An optional part is not installed."""

    code, title = "missing-extra", "An optional part is not installed"

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the extra '{extra}', which is not installed.",
            remedy=f'Install it: pip install "plumbline-platform[{extra}]".',
        )

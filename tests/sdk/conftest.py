"""The lenders of the room's tests."""

from tests.credit.trained import embedded, sqlite_lenders

__all__ = ["embedded", "sqlite_lenders"]

"""The lenders of the room's tests."""

from tests.credit.trained import embedded, lender, lenders, other, postgres_lenders, sqlite_lenders

__all__ = ["embedded", "lender", "lenders", "other", "postgres_lenders", "sqlite_lenders"]

"""The whole product's API over a lender with a trained model."""

from tests.credit.trained import embedded, lenders, sqlite_lenders

__all__ = ["embedded", "lenders", "sqlite_lenders"]

"""A browser, and a lender with something of everything to look at."""

from tests.browser_support import browser, visit
from tests.credit.pages.conftest import desk
from tests.credit.trained import sqlite_lenders

__all__ = ["browser", "desk", "sqlite_lenders", "visit"]

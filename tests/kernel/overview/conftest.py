from tests.credit.pages.conftest import desk
from tests.credit.trained import sqlite_lenders

__all__ = ["desk", "sqlite_lenders"]

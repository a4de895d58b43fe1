from tests.kernel.ledger.sending import begin, begin_sqlite, neighbour, standing, told_to
from tests.support.house import house

__all__ = ["begin", "begin_sqlite", "house", "neighbour", "standing", "told_to"]  # fixtures

"""Every query of the ledger: the audit log's in ``log``, the tree's in ``trees``, what leaves the house in ``outside``."""

from plumbline.kernel.ledger.repository.log import (
    Day,
    Filter,
    actions,
    activity,
    binding,
    conditions,
    entries,
    entry,
    filled,
    there,
)

__all__ = ["Day", "Filter", "actions", "activity", "binding", "conditions", "entries", "entry", "filled", "there"]

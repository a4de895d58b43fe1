"""Every query of the ledger: the audit log's in ``entries``, the tree's in ``trees``, the witnesses' in ``witnesses``."""

from plumbline.kernel.ledger.repository.entries import (
    Day,
    Filter,
    actions,
    activity,
    conditions,
    entries,
    entry,
    filled,
)

__all__ = ["Day", "Filter", "actions", "activity", "conditions", "entries", "entry", "filled"]

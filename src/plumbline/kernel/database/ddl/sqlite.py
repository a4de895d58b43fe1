"""Triggers on SQLite."""

from __future__ import annotations

_FIXED = ("id", "organization_id", "timestamp", "action", "actor_type", "user_id", "resource_type", "resource_id", "request_id",
          "success", "actor_commitment", "content_commitment")  # fmt: skip
_ACTOR = ("actor_id", "client_id", "ip_address", "session_id", "user_agent", "actor_salt")
_CONTENT = ("details", "error_message", "new_values", "old_values", "content_salt")


def _same(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"new.{c} IS old.{c}" for c in columns)


def _blank(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"new.{c} IS NULL" for c in columns)


_REFUSE = "BEGIN SELECT RAISE(ABORT, '{} is append-only'); END"
_ERASURE = (
    f"{_same(_FIXED)} AND (({_same(_ACTOR)}) OR ({_blank(_ACTOR)})) AND (({_same(_CONTENT)}) OR ({_blank(_CONTENT)}))"
)
_PRUNED = (
    "SELECT 1 FROM ledger_leaves l JOIN ledger_trees t ON t.organization_id = l.organization_id"
    " WHERE l.entry_id = old.id AND l.leaf_index < t.pruned_below"
)
_AUDIT = [
    f"CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log WHEN NOT ({_ERASURE}) {_REFUSE.format('audit_log')}",
    f"CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log WHEN NOT EXISTS ({_PRUNED}) {_REFUSE.format('audit_log')}",
    # INSERT OR REPLACE would pass the two above
    "CREATE TRIGGER audit_log_replace BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = new.id) "
    + _REFUSE.format("audit_log"),
    "CREATE TRIGGER audit_log_queue AFTER INSERT ON audit_log BEGIN INSERT INTO ledger_pending VALUES (new.organization_id, new.id); END",
]


def _append_only(table: str, *key: str, unique: str | None = None) -> list[str]:
    same = " AND ".join(f"{c} = new.{c}" for c in key) + (f" OR {unique} = new.{unique}" if unique else "")
    return [
        f"CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} {_REFUSE.format(table)}",
        f"CREATE TRIGGER {table}_delete BEFORE DELETE ON {table} {_REFUSE.format(table)}",
        f"CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) {_REFUSE.format(table)}",
    ]


_GUARDS = {
    "audit_log": _AUDIT,
    "ledger_leaves": _append_only("ledger_leaves", "organization_id", "leaf_index", unique="entry_id"),
    "ledger_nodes": _append_only("ledger_nodes", "organization_id", "level", "node_index"),
    "ledger_checkpoints": _append_only("ledger_checkpoints", "organization_id", "tree_size"),
    "ledger_trees": [
        "CREATE TRIGGER ledger_trees_update BEFORE UPDATE ON ledger_trees WHEN new.organization_id IS NOT old.organization_id"  # noqa: ISC004 - one statement
        f" OR new.origin IS NOT old.origin OR new.pruned_below < old.pruned_below {_REFUSE.format('ledger_trees')}",
        "CREATE TRIGGER ledger_trees_replace BEFORE INSERT ON ledger_trees WHEN EXISTS (SELECT 1 FROM ledger_trees WHERE organization_id = new.organization_id)"  # noqa: ISC004 - one statement
        f" {_REFUSE.format('ledger_trees')}",
        f"CREATE TRIGGER ledger_trees_delete BEFORE DELETE ON ledger_trees {_REFUSE.format('ledger_trees')}",
    ],
}
_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


def of_table(table: str, *, timed: bool) -> list[str]:
    made = list(_GUARDS.get(table, []))
    if timed:
        # the second condition ends the recursion when two statements forget the time within one millisecond
        made.append(
            f"CREATE TRIGGER {table}_updated_at AFTER UPDATE ON {table} WHEN new.updated_at IS old.updated_at"
            f" AND new.updated_at IS NOT {_NOW} BEGIN UPDATE {table} SET updated_at = {_NOW} WHERE id = new.id; END"
        )
    return made

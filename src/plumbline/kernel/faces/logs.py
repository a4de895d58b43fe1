"""Logs: one JSON object a line on stderr; never bodies, secrets or personal data."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_KEPT = ("request_id", "method", "route", "status", "ms", "path", "job", "kind", "worker", "organization")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), "level": record.levelname.lower(),
                "logger": record.name, "message": record.getMessage()}  # fmt: skip
        line |= {name: getattr(record, name) for name in _KEPT if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Send the product's own log lines to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    root = logging.getLogger("plumbline")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False

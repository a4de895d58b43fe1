"""The command group ``plumbline credit``: a module for each of its nouns registers its commands."""

from plumbline.credit.cli import (  # noqa: F401 - they register their commands
    alternatives,
    batches,
    comparing,
    decisions,
    development,
    fairness,
    notices,
    outcomes,
    scorecard,
    sql,
    whatif,
)
from plumbline.credit.cli.groups import credit

__all__ = ["credit"]

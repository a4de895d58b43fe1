"""Synthetic portfolios in the shape of the Home Credit set, with the truth behind every outcome.

:func:`generate` gives seven linked tables and the true probability of each application as a sum of named effects, so
that a model, its reasons, its fairness and its monitoring can be tested against known causes. :func:`write_stream` does
the same for large portfolios straight into files.
"""

from .generation import generate, write_stream
from .leaks import IMPUTED_COLUMNS, POST_DECISION_COLUMN, RENAMED_COLUMN
from .options import LEAKS, Options
from .portfolio import Portfolio, Report, approval_rate_ratio, to_application_json
from .truth import EFFECT_NAMES, EFFECTS, GROUP, GROUP_COLUMN, Effect, best_possible_auc, measures

__all__ = [
    "EFFECTS",
    "EFFECT_NAMES",
    "GROUP",
    "GROUP_COLUMN",
    "IMPUTED_COLUMNS",
    "LEAKS",
    "POST_DECISION_COLUMN",
    "RENAMED_COLUMN",
    "Effect",
    "Options",
    "Portfolio",
    "Report",
    "approval_rate_ratio",
    "best_possible_auc",
    "generate",
    "measures",
    "to_application_json",
    "write_stream",
]

"""Metric sources at the terminal."""

from __future__ import annotations

from tests.credit.cli.test_commands import Call, call

__all__ = ["call"]


def test_a_figure_that_is_not_known_says_why(call: Call) -> None:
    told = {one["key"]: one for one in call("metrics", "list")["items"]}
    assert told["credit.replays_equal"] | {"measured_at": None} == {
        "key": "credit.replays_equal", "title": "Replays that came out equal, of those that could be run", "unit": "share", "direction": "up", "window_days": 365,
        "value": None, "numerator": 0, "denominator": 0, "measured_at": None, "evidence": "/ledger?action=credit.replay", "reason": "too_few",
    }  # fmt: skip
    assert "too_few" in call("metrics", "list", text=True)

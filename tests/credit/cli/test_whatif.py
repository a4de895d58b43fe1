"""What would have been, and a model as SQL, at the terminal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.credit.cli.test_commands import Call, call
from tests.credit.helped import helped
from tests.credit.trained import application_with, payload, scorer, unlabelled

__all__ = ["call"]


@pytest.fixture
def key(call: Call, tmp_path: Path) -> str:
    path = tmp_path / "application.json"
    path.write_text(json.dumps(payload(helped()[0][0])))
    return str(call("credit", "score", str(path))["id"])


def test_a_decision_is_asked_about(call: Call, key: str) -> None:
    told = call("credit", "counterfactual", key)
    way = told["found"][0]
    settings = [word for c in way["changes"] for word in ("--set", f"{c['column']}={c['after']}")]
    again = call("credit", "what-if", key, *settings)
    assert again["after"]["probability"] == way["probability"]
    text = call("credit", "counterfactual", key, text=True)
    assert all(c["text"] in text for c in way["changes"])
    assert "1. approve" in text
    text = call("credit", "what-if", key, *settings, "--set", "CNT_CHILDREN=2", text=True)
    assert "with the changes  approve" in text
    assert "not the applicant's to change" in text


def test_none_is_told_with_its_reason(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "hopeless.json"
    path.write_text(json.dumps(application_with(decision="decline")))
    hopeless = call("credit", "score", str(path))["id"]
    text = call("credit", "counterfactual", hopeless, "--level", "Low", "--max-changes", "1", text=True)
    assert "Nothing within one change an applicant can make gets there." in text
    assert "The lowest probability of default on the way was" in text


def test_mistakes_are_told(call: Call, key: str) -> None:
    assert "is not COLUMN=VALUE" in call("credit", "what-if", key, "--set", "AMT_CREDIT", code=2)
    assert "Did you mean AMT_CREDIT?" in call("credit", "what-if", key, "--set", "AMT_CREDITS=5", code=1)
    assert "is no id" in call("credit", "counterfactual", "x", code=2)


def test_a_model_is_written_as_sql_that_scores(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "made" / "credit-risk.sql"
    told = call("credit", "sql", "credit-risk", "--dialect", "sqlite", "--out", str(out), "--table", "f")
    statement = out.read_text()
    assert told["bytes"] == len(statement.encode())
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    assert call("credit", "sql", "credit-risk", "--dialect", "sqlite", "--table", "f", text=True) == statement
    matrix = scorer().transformer.transform(unlabelled())
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE f (SK_ID_CURR, {', '.join(f'{chr(34)}{n}{chr(34)}' for n in matrix.names)})")
        marks = ", ".join("?" * (len(matrix.names) + 1))
        rows = [(key, *row) for key, row in zip(matrix.ids.to_list(), matrix.values.tolist(), strict=True)]
        connection.executemany(f"INSERT INTO f VALUES ({marks})", rows)
        found = {row[0]: row[3] for row in connection.execute(statement)}
    scored = scorer().score_matrix(matrix)
    assert found == dict(zip(matrix.ids.to_list(), scored.probability.tolist(), strict=True))
    assert "oracle" in call("credit", "sql", "credit-risk", "--dialect", "oracle", code=2)

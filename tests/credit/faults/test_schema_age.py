"""A database one migration behind or ahead: the command says what to do and touches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from plumbline.cli import run
from plumbline.kernel.database import Database, migrate
from tests.credit.trained import Lender


@pytest.fixture
def owner(lender: Lender) -> Iterator[Database]:
    database = Database(lender.installation.settings.url, role="owner")
    yield database
    database.close()


def everything(owner: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in no order that matters."""
    with owner.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        return {
            name: sorted((tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')), key=repr) for name in names
        }  # fmt: skip


def alter(owner: Database, statement: str) -> None:
    with owner.connect(write=True) as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("age", ["behind", "ahead"])
def test_a_database_of_another_age_is_told_and_not_touched(
    lender: Lender, owner: Database, tmp_path: Path, age: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = sorted(r.id for r in migrate.revisions().values() if r.room != "kernel")[-1]
    earlier = migrate.revisions()[last].before
    assert earlier is not None
    if age == "behind":
        alter(owner, f"UPDATE alembic_version SET version_num = '{earlier}' WHERE version_num = '{last}'")
        words = (f"The database is behind this Plumbline: it lacks {last}.", "Run: plumbline db upgrade")
    else:
        alter(owner, "INSERT INTO alembic_version VALUES ('kernel_9999')")
        words = ("The database is ahead of this Plumbline: it has kernel_9999.", "Install the newer Plumbline.")
    application = tmp_path / "application.json"
    application.write_text("{}")
    table = tmp_path / "loans.csv"
    table.write_text("SK_ID_CURR\n1\n")
    before, files = everything(owner), sorted(tmp_path.iterdir())
    home = ["--home", str(tmp_path), "--database-url", lender.installation.settings.url]
    for command in (
        ("credit", "decisions"), ("credit", "score", str(application)), ("credit", "batch", "run", str(table)), ("credit", "batch", "list"),
        ("models", "list"), ("serve", "--port", "0"),
    ):  # fmt: skip
        assert run([*home, *command]) == 1, command
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.strip().splitlines() == [f"plumbline: {' '.join(words)}"]
    assert everything(owner) == before
    assert sorted(tmp_path.iterdir()) == files

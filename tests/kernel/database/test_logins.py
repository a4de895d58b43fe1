"""In production, PostgreSQL is reached with a login that row-level security binds."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from plumbline.kernel.errors import Forbidden
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import Server


def opened(url: str, home: Path, environment: str) -> None:
    Installation.open(Settings(home=home, database_url=url, environment=environment)).close()


@pytest.mark.postgres
def test_production_refuses_a_login_above_the_rows_and_takes_a_plain_one(postgres: Server, tmp_path: Path) -> None:
    url = postgres.fresh()
    try:
        with pytest.raises(Forbidden, match="superuser"):
            opened(url, tmp_path, "production")
        opened(url, tmp_path, "staging")
        login = f"plain_{sa.make_url(url).database}"
        postgres.execute(f"CREATE ROLE {login} LOGIN NOSUPERUSER IN ROLE plumbline_app, plumbline_worker")
        opened(sa.make_url(url).set(username=login).render_as_string(hide_password=False), tmp_path, "production")
    finally:
        postgres.drop(url)


def test_an_embedded_database_has_no_logins(sqlite_url: str, tmp_path: Path) -> None:
    opened(sqlite_url, tmp_path, "production")

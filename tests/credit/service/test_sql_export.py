"""A registered version as SQL."""

from __future__ import annotations

import pytest

from plumbline.credit.service.sql_export import sql_export
from plumbline.kernel.errors import InvalidInput, NotFound
from tests.credit.trained import Lender, scorer


def test_a_version_is_written_under_its_name_and_hash(lender: Lender) -> None:
    made = sql_export(lender.installation, lender.as_role("viewer"), "credit-risk", "sqlite", table="applicants")
    assert made.model["sha256"] == lender.sha256
    assert made.columns == [f.name for f in scorer().features]
    first, *_ = made.text.splitlines()
    assert lender.sha256 in first
    assert 'FROM "applicants"' in made.text
    assert 'k AS "SK_ID_CURR"' in made.text


def test_what_cannot_be_exported_is_refused(embedded: Lender) -> None:
    with pytest.raises(InvalidInput, match="no export for oracle"):
        sql_export(embedded.installation, embedded.analyst, "credit-risk", "oracle")
    with pytest.raises(NotFound):
        sql_export(embedded.installation, embedded.analyst, "nothing", "sqlite")

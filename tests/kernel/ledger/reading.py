"""What tests of the ledger's pages share: the application, entries, and pages as a person reads them."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi import FastAPI

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.service import Act, checking, sealing
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm
from tests.kernel.models.site import signed_in, token_of
from tests.support.http import application


@pytest.fixture
def app(installation: Installation, firm: Firm) -> FastAPI:
    return opened(installation, firm)


def opened(installation: Installation, firm: Firm) -> FastAPI:
    """The application with the viewer signed in: that is an act as well, and would wait to be sealed."""
    made = application(installation)
    token_of(made, firm, "viewer")
    return made


def acted(firm: Firm, count: int = 1) -> UUID:
    """Entries; returns the id of the last."""
    for number in range(count):
        with Act(firm.installation.database, firm.as_role("admin"), "things.do", "thing") as act:
            act.done(number=number)
    found = queries.list_entries(
        firm.installation, firm.as_role("admin"), queries.Query(action="things.do"), PageRequest(1)
    )
    return found.items[0].id


def sealed(firm: Firm) -> int:
    return sealing.seal(firm.installation, firm.id).size


def verified(firm: Firm) -> None:
    checking.check(firm.installation, firm.as_role("analyst"))


def read(app: FastAPI, firm: Firm, path: str = "/ledger", role: str = "viewer") -> str:
    answer = signed_in(app, firm, role).get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.text)

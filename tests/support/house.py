"""One installation with two firms for all tests of a module: pages and rights do not depend on the engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from plumbline.kernel.identity import service
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.identity.tables import User
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import Firm, SteppingClock
from tests.support.http import Browser, Program, application


@dataclass
class House:
    """``people`` get their own accounts in a test, so that tests do not meet."""

    installation: Installation
    clock: SteppingClock
    firm: Firm
    other: Firm
    app: FastAPI
    made: int = field(default=0)

    def person(self, role: str = "viewer", firm: Firm | None = None) -> User:
        """A new person of the firm whose password is the firm's."""
        self.made += 1
        at = firm or self.firm
        context = at.as_role("admin")
        name = f"person-{self.made}"
        key = service.create_user(self.installation, context, username=name, email=f"{name}@{at.id.hex[-6:]}.example", full_name=f"Person {self.made}",
                                  role=role, password=at.password)  # fmt: skip
        return service.user_named(self.installation, context, str(key))

    def browser(self, person: User | UUID | None = None, firm: Firm | None = None, **rest: Any) -> Browser:
        """Signed in by a link, which hashes no password."""
        browser = Browser(self.app, **rest)
        if person is not None:
            key = person if isinstance(person, UUID) else person.id
            link = service.once_link(self.installation, (firm or self.firm).as_role("admin"), key)
            browser.token = service.use_once_link(self.installation, link, Client(ip="198.51.100.9")).token
        return browser

    def program(self, person: User, *scopes: str, **rest: Any) -> Program:
        from plumbline.kernel.identity import rights

        context = self.firm.context(person.id, person.role)
        _, key = service.create_key(
            self.installation,
            context,
            name="test program",
            scopes=list(scopes or sorted(rights.of_role(person.role))),
            **rest,
        )
        return Program(self.app, key)


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    shutil.copy(sqlite_template, home / "plumbline.db")
    clock = SteppingClock()
    installation = Installation.open(Settings(home=home, sign_in_attempts=100_000), clock=clock)
    firm, other = Firm(installation, "northwind"), Firm(installation, "contoso")
    yield House(installation, clock, firm, other, application(installation))
    installation.close()

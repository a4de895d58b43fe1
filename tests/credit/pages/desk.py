"""The console of a lender as people of each role see it, and what there is to see."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
from fastapi import FastAPI

from plumbline.credit import service
from plumbline.credit.service.batches import BatchView
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from tests.credit import trained
from tests.credit.trained import Lender
from tests.support.http import Browser

PASSWORD = "correct horse battery staple"


def csv(rows: int = 40, faults: int = 0) -> bytes:
    """The application table of unseen applications; the amount of the last ``faults`` of them is no number."""
    table = trained.unlabelled()["application"].head(rows).with_columns(pl.col("AMT_CREDIT").cast(pl.String))
    wrong = pl.int_range(pl.len()) >= rows - faults
    out = io.BytesIO()
    table.with_columns(pl.when(wrong).then(pl.lit("many")).otherwise("AMT_CREDIT").alias("AMT_CREDIT")).write_csv(out)
    return out.getvalue()


@dataclass
class Desk:
    """``lender`` has a model that decides; ``other`` is a second tenant of the same installation."""

    lender: Lender
    other: Lender
    folder: Path
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def app(self) -> FastAPI:
        from plumbline.app import create_app

        return create_app(self.lender.installation)

    def token(self, role: str, slug: str = "northwind") -> str:
        """A session of the person with this role."""
        if (slug, role) not in self._tokens:
            signed = identity.sign_in(self.lender.installation, f"{slug}-{role}", PASSWORD, Client(ip="198.51.100.7"))
            self._tokens[slug, role] = signed.token
        return self._tokens[slug, role]

    def browser(self, role: str = "analyst", slug: str = "northwind") -> Browser:
        made = Browser(self.app)
        made.token = self.token(role, slug)
        return made

    # what there is

    def score(self, *, level: str | None = None, decision: str | None = None, **changes: Any) -> UUID:
        application = trained.application_with(level=level, decision=decision)
        application["application"] |= changes
        for name, rows in application.items():
            if name != "application":
                for row in rows:
                    row.pop("SK_ID_CURR", None)
        return service.score(self.lender.installation, self.lender.analyst, application).id

    def send(self, data: bytes, name: str = "branch.csv") -> BatchView:
        path = self.folder / name
        path.write_bytes(data)
        return self.lender.submit(path)

    def scored(self, data: bytes, name: str = "branch.csv") -> BatchView:
        return self.lender.perform(self.send(data, name))

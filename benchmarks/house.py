"""An installation to measure: a database of either engine, an organization, an API key, an active model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.identity import rights
from plumbline.kernel.identity import service as identity
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.settings import Settings

if TYPE_CHECKING:
    from benchmarks.material import Material

PASSWORD = "correct horse battery staple"


class House:
    """Made anew in ``home``; :attr:`key` may do what an analyst may."""

    def __init__(self, home: Path, database_url: str | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(home=home, database_url=database_url, sign_in_attempts=1_000_000)
        self.owner = Database(self.settings.url, role="owner")
        migrate.upgrade(self.owner)
        self.installation = Installation.open(self.settings)
        made = identity.initialize(self.installation, name="Benchmark", slug="benchmark", username="admin", email="admin@benchmark.example",
                                   password=PASSWORD)  # fmt: skip
        self.organization_id = made.organization_id
        self._user = made.user_id
        _, self.key = identity.create_key(
            self.installation, self.context, name="benchmark", scopes=["credit.read", "credit.score"]
        )

    @property
    def context(self) -> Context:
        system = identity.system_context(self.installation, self.organization_id)
        return replace(
            system,
            actor_type="user",
            actor_id=str(self._user),
            user_id=self._user,
            role="admin",
            rights=rights.of_role("admin"),
        )

    def take_model(self, material: Material) -> Any:
        """Register the model the material holds, and activate it."""
        report = material.scorer.report
        model = models.register(
            self.installation, self.context, name="credit-risk", kind="credit", framework="lightgbm", model_type="classification",
            artifact=material.artefact.read_bytes(), features=[{"name": f.name, "dtype": f.kind} for f in material.scorer.features],
            target_classes=["repaid", "default"], metrics=report["headline"], trained_at=self.installation.clock(), evaluations=[],
            right="credit.train", extra={"threshold": material.scorer.policy.threshold},
        )  # fmt: skip
        models.activate(self.installation, self.context, str(model.id), reason="to be measured", force=True)
        return model

    def server(self, *, worker_threads: int) -> dict[str, Any]:
        """What a server of this installation is started with."""
        return {"home": str(self.settings.home), "database_url": self.settings.url, "worker_threads": worker_threads}

    def ask(self, statement: str, **given: Any) -> list[tuple[Any, ...]]:
        """Look into the tables, over everything, as their owner."""
        import sqlalchemy as sa

        with self.owner.connect() as connection:
            found = connection.execute(sa.text(statement).execution_options(tenant="all"), given)
            return [tuple(row) for row in found]

    def close(self) -> None:
        self.installation.close()
        self.owner.close()


def bodies(material: Material, count: int) -> list[str]:
    """Requests to score, all seven tables each."""
    return [json.dumps(material.application(i)) for i in range(count)]

"""What several measurements need: generated portfolios, a model trained on one of them, a large file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.processes import say
from plumbline.credit import synthetic
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling import champion
from plumbline.credit.modelling.artifact import members_of
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.training import train
from plumbline.kernel.models.artifacts import pack, unpack

FULL_FILE = 307_511
TRAINED_ON, JUDGED_ON = 20_000, 20_000
TRAINING_SEED, JUDGED_SEED, FILE_SEED = 1, 2, 3


class Material:
    """Made when first asked for, in ``folder``, and kept for the run."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick
        self.rows = 140_000 if quick else FULL_FILE
        self.schema = Schema.load("home_credit")

    @cached_property
    def learnt(self) -> synthetic.Portfolio:
        """The applications the model learns from."""
        return synthetic.generate(4_000 if self.quick else TRAINED_ON, TRAINING_SEED)

    @cached_property
    def judged(self) -> synthetic.Portfolio:
        """Other applications of the same kind: another seed, nothing else."""
        return synthetic.generate(4_000 if self.quick else JUDGED_ON, JUDGED_SEED)

    @cached_property
    def members(self) -> dict[str, bytes]:
        """The artefact of a champion trained on :attr:`learnt`, all seven tables, protected attributes left out."""
        tables, schema = self.learnt.tables, self.schema
        transformer = Transformer.fit(tables, schema)
        trained = train(
            transformer.transform(tables), labels(self.learnt), settings=champion.Settings(), reasons=schema.reasons
        )
        return members_of(trained, transformer=transformer.to_dict(), schema=schema.to_dict())

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer.load(self.members)

    @cached_property
    def artefact(self) -> Path:
        path = self.folder / "model.zip"
        path.write_bytes(pack(self.members))
        return path

    @cached_property
    def file(self) -> Path:
        """The application table as CSV: :attr:`rows` × 122, the label among them."""
        folder = self.folder / "large"
        synthetic.write_stream(folder, self.rows, FILE_SEED)
        for other in folder.glob("*.csv"):
            if other.stem != "application":
                other.unlink()
        return folder / "application.csv"

    @cached_property
    def one_table(self) -> Schema:
        """The schema of the application table alone."""
        main = self.schema.main.name
        features = tuple(f for f in self.schema.features if f.table == main)
        return replace(self.schema, tables={main: self.schema.main}, features=features)

    def application(self, number: int) -> dict[str, Any]:
        """One client of :attr:`judged` as a request: all seven tables."""
        ids = self.judged.tables["application"]["SK_ID_CURR"]
        return synthetic.to_application_json(self.judged, int(ids[number]))


def made_anew(quick: bool) -> None:
    """The artefact, from the seeds on, in a process that knows nothing of another; says its hash."""
    say({"sha256": hashlib.sha256(pack(Material(Path(), quick=quick).members)).hexdigest()})


def labels(portfolio: synthetic.Portfolio) -> npt.NDArray[np.int8]:
    return portfolio.tables["application"]["TARGET"].to_numpy().astype(np.int8)


def loaded(path: Path) -> Scorer:
    """The scorer of an artefact's file."""
    return Scorer.load(unpack(path.read_bytes()))

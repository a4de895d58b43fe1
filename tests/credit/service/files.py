"""Files as lenders send them, and what must be true of a finished batch."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from plumbline.credit.service.batches import BatchView
from plumbline.credit.service.performing import row_id
from plumbline.kernel.ledger import entry, tree
from plumbline.kernel.models import predictions
from plumbline.kernel.models.tables import Prediction
from tests.credit.trained import Lender, unlabelled

FILES = ("results.csv", "results.parquet", "rejects.csv")


def applications(copies: int = 1) -> pl.DataFrame:
    """The portfolio's main table, repeated with ids of its own each time."""
    frame = unlabelled()["application"]
    return pl.concat([frame.with_columns(pl.col("SK_ID_CURR") + 1_000_000 * n) for n in range(copies)])


def spoiled(frame: pl.DataFrame, every: int = 9) -> pl.DataFrame:
    """Every ninth row's income cannot be read; text, as a CSV is written."""
    number = pl.int_range(pl.len())
    income = pl.col("AMT_INCOME_TOTAL").cast(pl.String)
    return frame.with_columns(
        pl.when(number % every == every - 1).then(pl.lit("a lot")).otherwise(income).alias("AMT_INCOME_TOTAL")
    )


def written(frame: pl.DataFrame, to: Path) -> Path:
    """A file of the kind its name says."""
    if to.suffix == ".parquet":
        frame.write_parquet(to)
    elif to.suffix == ".gz":
        to.write_bytes(gzip.compress(frame.write_csv().encode(), mtime=0))
    elif to.suffix == ".zst":
        with pa.CompressedOutputStream(str(to), "zstd") as stream:
            stream.write(frame.write_csv().encode())
    else:
        frame.write_csv(to)
    return to


def rows_of(lender: Lender, view: BatchView) -> list[Prediction]:
    """The batch's decisions with all they hold, in the order of the file."""
    with lender.installation.database.read(lender.id) as session:
        statement = sa.select(Prediction).where(
            Prediction.organization_id == lender.id, Prediction.batch_id == view.batch.id
        )
        return list(session.scalars(statement.order_by(Prediction.batch_row)))


def bytes_of(lender: Lender, view: BatchView) -> dict[str, bytes]:
    return {name: (lender.folder(view) / name).read_bytes() for name in FILES}


def assert_whole(lender: Lender, view: BatchView) -> list[Prediction]:
    """Every row once, under its own id, bound by the one entry of the batch; returns the rows."""
    rows = rows_of(lender, view)
    extra = view.batch.extra
    assert view.status == "completed"
    assert len(rows) == extra["scored"] == lender.results(view).height
    assert extra["scored"] + extra["rejected"] == view.batch.num_applications == view.rows_done
    assert [r.id for r in rows] == [row_id(view.batch.id, r.batch_row or 0) for r in rows]
    assert [r.subject_id for r in rows] == [str(i) for i in lender.results(view)["sk_id_curr"]]
    hashes = (lender.folder(view) / "records.sha256").read_bytes()
    assert len(hashes) == 32 * len(rows)
    leaves = [hashes[i : i + 32] for i in range(0, len(hashes), 32)]
    for row, leaf in zip(rows, leaves, strict=True):
        assert row.record_salt is not None
        assert entry.record_hash(row.record_salt, predictions.record_of(row, lender.sha256)) == leaf.hex()
    entries = [e for e in lender.entries("credit.batch.score") if e.resource_id == view.batch.id]
    (one,) = entries
    assert one.details["records_root"] == extra["records_root"] == tree.root([tree.leaf_hash(h) for h in leaves]).hex()
    assert one.details["model_sha256"] == lender.sha256
    assert (one.details["scored"], one.details["rejected"]) == (extra["scored"], extra["rejected"])
    return rows


def told(row: Prediction) -> dict[str, Any]:
    """What was decided, without whose row it is: equal for equal input, in whatever company it came."""
    reasons = [(r["code"], r["contribution"]) for r in row.explanation["reasons"]]
    return {
        "subject": row.subject_id,
        "level": row.prediction_result,
        "probability": row.probability,
        "reasons": reasons,
        **row.extra,
    }

"""Whether the decisions in the database are those that sealed entries of the ledger commit to.

Only entries that are in the tree are believed; that the tree is what was signed, the ledger's own verification says. What no
entry speaks of was added, what an entry speaks of and is not there was removed, and a row whose salted hash is another
one was changed. Columns outside of the record (reasons, who asked, processing time) are not covered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.scanning import MOST, Finding
from plumbline.kernel.ledger.service.verifying import ERASE
from plumbline.kernel.models import stored
from plumbline.kernel.models.matching import BLANK, Hashes, matched, root_of, without
from plumbline.kernel.models.opening import Opening, RowProof, proof_of_row, record_opening
from plumbline.kernel.models.stored import Spoken, Stored, file_of, hash_of, spoken
from plumbline.kernel.models.tables import Batch, Model

__all__ = ["Opening", "RecordsReport", "RowProof", "matched", "proof_of_row", "record_opening", "verify"]
STEP = 500
"""Single decisions that are looked up together."""
Told = Callable[[int, int], None]


@dataclass(slots=True)
class RecordsReport:
    """What the check found.

    :ivar decisions: rows that were compared with what their entry commits to.
    :ivar findings: the first :data:`scanning.MOST`; ``subject`` is the id of the decision, batch or model.
    :ivar count: all of them.
    :ivar notes: what could not be compared, and why that is no finding.
    """

    decisions: int = 0
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str, subject: str, by: Spoken | None = None) -> None:
        self.count += 1
        if len(self.findings) < MOST:
            self.findings.append(
                Finding(kind, text, by.leaf if by else None, by.entry_id if by else None, None, subject)
            )


def verify(
    installation: Installation, organization_id: UUID, *, told: Told = lambda done, total: None
) -> RecordsReport:
    """Compare every decision of an organization, single or of a batch, with what its entry commits to.

    :param told: called with decisions compared and in all.
    """
    with installation.database.read(organization_id) as session:
        return _Check(installation, session, organization_id, told).run()


class _Check:
    """One run. The order of the reads makes it fit for a database in use: rows first, then the entries that speak of them,
    erasures last (a row and its entry are committed together, and an erasure is sealed before it blanks)."""

    def __init__(self, installation: Installation, session: Session, organization_id: UUID, told: Told) -> None:
        self.installation, self.organization_id, self.told = installation, organization_id, told
        self.session, self.trees = session, Trees(session, organization_id)
        self.report = RecordsReport()
        self.models = {
            str(key): (f"{name}@{version}", extra.get("sha256") if isinstance(extra, dict) else None)
            for key, name, version, extra in session.execute(
                sa.select(Model.id, Model.name, Model.version, Model.extra).where(
                    Model.organization_id == organization_id
                )
            )
        }
        self.hashes = {sha256 for _, sha256 in self.models.values()}
        self.changed_models: set[str] = set()
        self.blanked: list[tuple[Stored, Spoken | None]] = []
        self.counts: Counter[str] = Counter()
        self.total = 0

    def run(self) -> RecordsReport:
        singles, shadows = bytearray(), bytearray()
        with stored.single_ids(self.trees) as ids:
            for key, shadow in ids:
                (shadows if shadow else singles).extend(key)
        sizes = stored.batch_sizes(self.session, self.organization_id)
        batches = {
            b.id: b for b in self.session.scalars(sa.select(Batch).where(Batch.organization_id == self.organization_id))
        }
        self.total = (len(singles) + len(shadows)) // 16 + sum(sizes.values())
        named = self._singles()
        self._batches(sizes, batches)
        self._added(without(singles, named))
        self.counts["shadows"] = len(without(shadows, named))
        self._judge_blanked()
        self._note()
        self.report.findings.sort(key=lambda f: (f.leaf_index is None, f.leaf_index or 0))
        return self.report

    def _compared(self, count: int) -> None:
        self.report.decisions += count
        self.told(min(self.report.decisions, self.total), self.total)

    # --- single decisions

    def _singles(self) -> bytearray:
        """Compare each with its entry; returns the ids that entries name, sealed or waiting."""
        named = bytearray()
        entries = spoken(self.trees, "record_sha256", "prediction_id")
        while part := list(islice(entries, STEP)):
            named += b"".join(s.key.bytes for s in part)
            sealed = [s for s in part if s.leaf is not None]
            self.counts["waiting"] += len(part) - len(sealed)
            rows = stored.stored(self.trees, [s.key for s in sealed])
            for one in sealed:
                if row := rows.get(str(one.key)):
                    self._single(row, one)
                else:
                    self.report.add("decision-removed", f"Decision {one.key} was removed: leaf {one.leaf} recorded it, and it is not there.",
                                    str(one.key), one)  # fmt: skip
            self._compared(len(rows))
        return named

    def _single(self, row: Stored, one: Spoken) -> None:
        found = hash_of(row, self.organization_id, one.model_sha256, lambda _: False, as_it_lies=False)
        if found == BLANK:
            self.blanked.append((row, one))
        elif found.hex() != one.bound:
            self._changed(row, one, f"it is not the one that leaf {one.leaf} recorded")
        else:
            self._check_rest(row, one)

    def _changed(self, row: Stored, one: Spoken, how: str) -> None:
        self.report.add("decision-changed", f"Decision {_told(row)} was changed: {how}.", row.id, one)

    def _check_rest(self, row: Stored, one: Spoken) -> None:
        """What stands outside of the record and yet says what the decision is."""
        if row.shadow_of is not None and one.details.get("shadow_of") != row.shadow_of:
            self._changed(row, one, "it is marked as the shadow of another one, which hides it")
        name, sha256 = self.models.get(row.ml_model_id, ("", None))
        if sha256 == one.model_sha256:
            return
        if one.model_sha256 in self.hashes:
            self._changed(row, one, f"it names model {name or row.ml_model_id}, which did not make it")
        elif row.ml_model_id not in self.changed_models:
            self.changed_models.add(row.ml_model_id)
            what = f"its hash is {sha256} now" if name else "its row is gone"
            self.report.add("model-changed", f"Model {name} {row.ml_model_id} was changed: {what}, and by leaf {one.leaf} it decided as"
                            f" {one.model_sha256}.", row.ml_model_id, one)  # fmt: skip

    def _added(self, keys: Sequence[UUID]) -> None:
        """Rows that no entry names: added, unless the entry was given up by retention or erased."""
        kept_since = self._kept_since() if keys else ""
        for start in range(0, len(keys), STEP):
            for row in stored.stored(self.trees, keys[start : start + STEP]).values():
                if row.record_salt is None:
                    self.blanked.append((row, None))
                elif row.created_at < kept_since:
                    self.counts["pruned"] += 1
                elif self._erased_entry(UUID(row.id)):
                    self.counts["silent"] += 1
                else:
                    self.report.add(
                        "decision-added",
                        f"Decision {_told(row)} was added: no entry of the ledger recorded it.",
                        row.id,
                    )

    def _kept_since(self) -> str:
        """The time of the first entry that retention left; the entries of older decisions may be gone."""
        pruned_below = (self.trees.origin() or ("", 0))[1]
        if not pruned_below:
            return ""
        time = (
            "a.timestamp"
            if self.trees.sqlite
            else """to_char(a.timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        )
        statement = (f"SELECT {time} FROM ledger_leaves l JOIN audit_log a ON a.id = l.entry_id AND a.organization_id = l.organization_id"
                     " WHERE l.organization_id = ? AND l.leaf_index >= ? ORDER BY l.leaf_index LIMIT 1")  # fmt: skip
        with self.trees.stream(statement, pruned_below) as rows:
            return next((str(row[0]) for row in rows), "")

    def _erased_entry(self, key: UUID) -> bool:
        """Whether a sealed entry about this row has lost its words (that it was allowed to, the ledger's verification says)."""
        statement = ("SELECT 1 FROM audit_log a JOIN ledger_leaves l ON l.entry_id = a.id AND l.organization_id = a.organization_id"
                     " WHERE a.organization_id = ? AND a.resource_id = ? AND a.content_salt IS NULL LIMIT 1")  # fmt: skip
        with self.trees.stream(statement, key.bytes if self.trees.sqlite else key) as rows:
            return any(True for _ in rows)

    # --- batches

    def _batches(self, sizes: dict[UUID, int], batches: dict[UUID, Batch]) -> None:
        bound = list(spoken(self.trees, "records_root", "batch_id"))
        waiting = {s.key for s in bound if s.leaf is None}
        sealed = {s.key for s in bound if s.leaf is not None}
        for one in (s for s in bound if s.leaf is not None):
            self._batch(one, sizes.get(one.key, 0), batches.get(one.key))
        for key, size in sizes.items():
            if key in sealed:
                continue
            batch = batches.get(key)
            if key in waiting:
                self.counts["waiting"] += size
            elif batch is None:
                self._all_added(key, "which is not there itself")
            elif batch.status != "completed":
                self.counts["unfinished batches"] += 1
                self.counts["unfinished"] += size
            elif entry_gone := self._entry_gone(key):
                self.counts[entry_gone] += size
            else:
                self._all_added(key, "which is completed without an entry of the ledger")

    def _entry_gone(self, key: UUID) -> str | None:
        """Why the entry of a completed batch is not there: a name of :attr:`counts`, or for no reason."""
        with stored.stored_batch(self.trees, key) as rows:
            latest = max((row.created_at for row in rows), default="~")
        if latest < self._kept_since():
            return "pruned"
        return "silent" if self._erased_entry(key) else None

    def _all_added(self, key: UUID, why: str) -> None:
        with stored.stored_batch(self.trees, key) as rows:
            for row in rows:
                self.report.add("decision-added", f"Decision {_told(row)} was added in batch {key}, {why}.", row.id)

    def _batch(self, one: Spoken, size: int, batch: Batch | None) -> None:
        told = f"Batch {one.key}"
        if batch is None:
            self.report.add(
                "batch-removed",
                f"{told} was removed: leaf {one.leaf} recorded it, and its row is gone.",
                str(one.key),
                one,
            )
        else:
            said = batch.extra.get("records_root", one.bound) if isinstance(batch.extra, dict) else None
            if said != one.bound or batch.file_sha256 != one.details.get("file_sha256", batch.file_sha256):
                self.report.add("batch-changed", f"{told} was changed: its row names another file or other records than leaf {one.leaf}.",
                                str(one.key), one)  # fmt: skip
        if not size:
            if batch is not None:
                self.report.add("batch-removed", f"{told} was removed: none of its {one.details.get('scored', '')} decisions is there.",
                                str(one.key), one)  # fmt: skip
            return
        path = file_of(self.installation, one.key)
        file = path.read_bytes() if path.is_file() else None
        fault = "is missing" if file is None else "was altered"
        if file is not None and (len(file) % 32 or root_of(file).hex() != one.bound):
            file = None
        hashes, ids = self._hashed(one, file or b"")
        if file is not None:
            if hashes != file:
                self._name(one, file, hashes, ids)
            return
        self.report.notes.append(
            f"{told}: the file of record hashes ({path.name}) {fault}: single rows cannot be named."
        )
        erased = sum(1 for h in Hashes(hashes) if h is None)
        if erased:
            self.report.add("batch-changed", f"{told} cannot be compared: the file of record hashes {fault}, and {erased} of its decisions are"
                            " erased.", str(one.key), one)  # fmt: skip
        elif root_of(hashes).hex() != one.bound:
            self.report.add("batch-changed", f"{told} was changed: its {size} decisions are not those of leaf {one.leaf}; the file of record hashes"
                            f" {fault}, so no row can be named.", str(one.key), one)  # fmt: skip

    def _hashed(self, one: Spoken, file: bytes) -> tuple[bytearray, bytearray]:
        """The record hashes of a batch's rows and their ids, packed. Rows are compared with where the file has come to."""
        hashes, ids = bytearray(), bytearray()
        at, sha256 = 0, one.model_sha256
        as_it_lies = self.trees.sqlite and bool(file)
        good = {key for key, (_, found) in self.models.items() if found == sha256}

        def expected(digest: bytes) -> bool:
            nonlocal at
            if file[at : at + 32] == digest:
                at += 32
                return True
            ahead = file.find(digest, at, at + 32_000)
            if ahead >= 0 and ahead % 32 == 0:
                at = ahead + 32
                return True
            return False

        with stored.stored_batch(self.trees, one.key) as rows:
            for count, row in enumerate(rows, 1):
                digest = hash_of(row, self.organization_id, sha256, expected, as_it_lies=as_it_lies)
                if digest == BLANK:
                    self.blanked.append((row, one))
                elif row.ml_model_id not in good or row.shadow_of is not None:
                    self._check_rest(row, one)
                hashes += digest
                ids += UUID(row.id).bytes
                if count % 10_000 == 0:
                    self._compared(10_000)
        self._compared(len(ids) // 16 % 10_000)
        return hashes, ids

    def _name(self, one: Spoken, file: bytes, hashes: bytearray, ids: bytearray) -> None:
        """Every row that is not as it was, in the order of the batch."""
        found = matched(Hashes(file), Hashes(hashes))
        size = len(file) // 32
        events: list[tuple[int, str, int]] = sorted(  # row, kind, place in the file
            [(r, "changed", p) for p, r in found.changed] + [(r, "moved", p) for p, r in found.moved] + [(r, "added", -1) for r in found.added]
            + [(r, "removed", p) for p, r in found.removed]
        )  # fmt: skip
        shown = events[: max(0, MOST - len(self.report.findings))]
        wanted = sorted(
            {
                r
                for row, kind, _ in shown
                for r in ((row - 1, row) if kind == "removed" else (row,))
                if 0 <= r < len(ids) // 16
            }
        )
        keys = {r: UUID(bytes=bytes(ids[16 * r : 16 * r + 16])) for r in wanted}
        rows: dict[str, Stored] = {}
        for start in range(0, len(wanted), STEP):
            rows |= stored.stored(self.trees, [keys[r] for r in wanted[start : start + STEP]])

        def named(r: int) -> str | None:
            row = rows.get(str(keys[r])) if r in keys else None
            return _told(row) if row else None

        batch = f"batch {one.key}"
        for row, kind, place in shown:
            name, key = named(row), str(keys.get(row, one.key))
            at = f"position {place + 1} of {size} in the records of {batch}"
            if kind == "changed":
                text = f"Decision {name} was changed: it is not the one that stood at {at}."
            elif kind == "moved":
                text = f"Decision {name} was changed: its row number is not that of {at}."
            elif kind == "added":
                text = f"Decision {name} was added to {batch}: its records do not hold it."
            else:
                key = str(one.key)
                before = named(row - 1)
                between = " and ".join(
                    filter(None, (before and f"after decision {before}", name and f"before decision {name}"))
                )
                text = f"A decision was removed: {at}{', ' + between if between else ''}."
            self.report.add(f"decision-{'changed' if kind == 'moved' else kind}", text, key, one)
        self.report.count += len(events) - len(shown)

    # --- at the end

    def _judge_blanked(self) -> None:
        allowed: set[str] = set()
        for _, _, text in self.trees.acts(ERASE) if self.blanked else ():
            with suppress(ValueError, TypeError, AttributeError):
                allowed.update(map(str, json.loads(text or "{}").get("records", ())))
        for row, one in self.blanked:
            if row.content is not None or row.features is not None:
                self.report.add(
                    "decision-blanked", f"Decision {_told(row)} has lost its salt, but not its input.", row.id, one
                )
            elif row.id in allowed:
                self.counts["erased"] += 1
            else:
                self.report.add(
                    "decision-blanked", f"Decision {_told(row)} was blanked without a sealed erasure.", row.id, one
                )

    def _note(self) -> None:
        for name, one, many in (
            ("waiting", "decision waits to be sealed", "decisions wait to be sealed"),
            ("unfinished", "decision has no entry yet: its batch has not ended", "decisions have no entry yet: their batches have not ended"),
            ("erased", "decision was erased and cannot be compared", "decisions were erased and cannot be compared"),
            ("pruned", "decision is older than the entries that retention has kept", "decisions are older than the entries that retention has kept"),
            ("silent", "decision has an entry whose words were erased", "decisions have entries whose words were erased"),
            ("shadows", "shadow decision has no entry of its own", "shadow decisions have no entries of their own"),
        ):  # fmt: skip
            if count := self.counts[name]:
                of = (
                    f" ({self.counts['unfinished batches']:,} pending, cancelled or failed)"
                    if name == "unfinished"
                    else ""
                )
                self.report.notes.append(f"{count:,} {one if count == 1 else many}{of}.")


def _told(row: Stored) -> str:
    """A decision as a finding names it."""
    of = f", row {row.batch_row}" if row.batch_id is not None else ""
    return f"{row.id} (subject {row.subject_id}{of})"

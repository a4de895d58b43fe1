"""``/api/v1/ledger``: how the ledger stands, checkpoints, proofs, verification, erasure and retention."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel import clock
from plumbline.kernel.errors import NotFound
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.identity import service as identity
from plumbline.kernel.ledger.service import (
    checking,
    comparing,
    delivering,
    erasing,
    proving,
    pruning,
    sealing,
    standing,
)
from plumbline.kernel.ledger.tables import Verification
from plumbline.kernel.models.evidence import evidence_of
from plumbline.kernel.paging import PageRequest

router = APIRouter()
_ORIGIN = "bank.example/ledger/019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90"
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


class DestinationState(BaseModel):
    """Where checkpoints go: `behind` counts sealed entries it has seen nothing of; an error that begins with "Alarm:" speaks of our history."""

    address: str
    kind: str
    witness: str | None
    tree_size: int
    behind: int
    delivered_at: datetime | None
    tried_at: datetime | None
    error: str | None


class LedgerState(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "origin": _ORIGIN, "size": 48211, "root": "36f7c6659640137db7f74d1b7581", "sealed_at": "2026-11-24T09:41:00Z", "checkpoints": 1920,
        "waiting": 3, "waiting_since": "2026-11-24T09:41:12Z", "pruned_below": 0, "obstacle": None,
        "verifier_keys": [f"{_ORIGIN}+4be25e47+AXTRROXFdFB1idlstWM6qAhsbFr5t5Wkdm+TewIumUN8"], "destinations": [],
    }})  # fmt: skip

    origin: str
    size: int = Field(description="Sealed entries.")
    root: str | None = Field(description="Of the last checkpoint, hexadecimal.")
    sealed_at: datetime | None
    checkpoints: int
    waiting: int = Field(description="Entries that are not sealed yet: a minute's worth.")
    waiting_since: datetime | None
    pruned_below: int = Field(description="Entries of smaller leaves were archived and removed by retention.")
    obstacle: str | None = Field(description="Why sealing would be refused now.")
    verifier_keys: list[str]
    destinations: list[DestinationState]


class CheckpointRow(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"size": 48211, "root": "36f7c665", "sealed_at": "2026-11-24T09:41:00Z"}}
    )

    size: int
    root: str
    sealed_at: datetime


class SealAnswer(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"sealed": 3, "size": 48214, "sealed_at": "2026-11-24T09:41:30Z"}}
    )

    sealed: int
    size: int
    sealed_at: datetime | None


class VerifyRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"records": True}}, extra="forbid")

    records: bool = Field(default=True, description="Check every decision against its entry as well.")


class VerifyAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"job_id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11"}})

    job_id: UUID


class FindingRow(BaseModel):
    kind: str
    text: str
    leaf_index: int | None
    entry_id: str | None
    tree_size: int | None
    subject: str | None


class VerificationRow(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "started_at": "2026-11-24T09:41:00Z", "finished_at": "2026-11-24T09:41:02Z",
        "from_size": 0, "to_size": 48211, "entries": 48211, "decisions": 30120, "sound": True, "findings": [], "finding_count": 0, "user_id": None,
    }})  # fmt: skip

    id: UUID
    started_at: datetime
    finished_at: datetime
    from_size: int
    to_size: int
    entries: int
    decisions: int | None
    sound: bool
    findings: list[FindingRow]
    finding_count: int
    user_id: UUID | None

    @classmethod
    def of(cls, row: Verification) -> VerificationRow:
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class VerificationPage(BaseModel):
    items: list[VerificationRow]
    next: str | None
    total: str


class ConsistencyAnswer(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"consistent": True, "fault": None, "sizes": [100, 48211], "path": ["fu0XVqLpv6FOGA=="]}
        }
    )

    consistent: bool
    fault: str | None
    sizes: list[int]
    path: list[str] = Field(description="RFC 9162 consistency proof, each hash in hexadecimal.")


class ErasureRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"subject": "100002", "dry_run": True}}, extra="forbid")

    subject: str | None = Field(default=None, max_length=500, description="Whom decisions are about.")
    user: str | None = Field(default=None, max_length=320, description="Or one of our people: user name, e-mail or id.")
    reason: str = Field(default="", max_length=2000)
    dry_run: bool = True


class Erased(BaseModel):
    """So many rows of one sort."""

    what: str
    count: int


class ErasureAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "done": False, "actor_entries": [], "content_entries": [], "records": ["019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11"],
        "told": [{"what": "decisions: input, features, reasons and the subject's name", "count": 1}], "kept": [],
    }})  # fmt: skip

    done: bool
    actor_entries: list[UUID]
    content_entries: list[UUID]
    records: list[UUID]
    told: list[Erased]
    kept: list[str] = Field(description="What this erasure cannot reach, and what to do about it.")


class RetentionRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"retention_days": 365, "batch_size": 1000, "dry_run": True}}, extra="forbid"
    )

    retention_days: int = Field(ge=1, le=36_500)
    batch_size: int = Field(default=1000, ge=1, le=100_000)
    dry_run: bool = True


class RetentionAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "done": False, "start": 0, "below": 1200, "entries": 1200, "older_than": "2025-11-24T09:41:00Z", "archive": None, "archive_sha256": None,
    }})  # fmt: skip

    done: bool
    start: int
    below: int
    entries: int
    older_than: datetime
    archive: str | None
    archive_sha256: str | None


@router.get("/ledger")
def get_ledger(house: House, caller: Caller) -> LedgerState:
    """How the ledger stands."""
    s = standing.standing(house, caller)
    outside = [DestinationState(**{n: getattr(d, n) for n in DestinationState.model_fields})
               for d in delivering.destinations(house, caller.organization_id)]  # fmt: skip
    return LedgerState(
        origin=s.origin, size=s.size, root=s.root.hex() if s.root else None, sealed_at=s.sealed_at, checkpoints=s.checkpoints, waiting=s.waiting,
        waiting_since=s.waiting_since, pruned_below=s.pruned_below, obstacle=s.obstacle, verifier_keys=list(s.verifier_keys), destinations=outside,
    )  # fmt: skip


@router.post("/ledger/seal")
def seal_ledger(house: House, caller: Caller) -> SealAnswer:
    """Seal what waits now. The checkpoint goes to stores and witnesses with the next run, within a minute."""
    done = sealing.seal_now(house, caller)
    return SealAnswer(sealed=done.sealed, size=done.size, sealed_at=done.sealed_at)


@router.get("/ledger/checkpoints")
def list_checkpoints(
    house: House, caller: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 100,
    below: Annotated[int | None, Query(ge=1, le=2**53, description="Only of smaller trees: the size of the last one seen.")] = None,
) -> list[CheckpointRow]:  # fmt: skip
    """The checkpoints, the newest first."""
    found = standing.checkpoints(house, caller, limit=limit, below=below)
    return [CheckpointRow(size=c.size, root=c.root.hex(), sealed_at=clock.parse(c.sealed_at)) for c in found]


@router.get("/ledger/checkpoint", response_class=Response, responses=_TEXT)
def get_checkpoint(house: House, caller: Caller, size: Annotated[int | None, Query(ge=1, le=2**53)] = None) -> Response:
    """A signed checkpoint with its cosignatures, as text: keep it where nobody who runs this installation can change it."""
    return Response(proving.checkpoint(house, caller, size), media_type="text/plain; charset=utf-8")


@router.get("/ledger/consistency")
def get_consistency(
    house: House, caller: Caller,
    first: Annotated[int | None, Query(ge=1, le=2**53, description="Size of the earlier one; default: the first.")] = None,
    second: Annotated[int | None, Query(ge=1, le=2**53, description="Size of the later one; default: the last.")] = None,
) -> ConsistencyAnswer:  # fmt: skip
    """That the later of two checkpoints, given by size, only adds to the earlier."""
    found = comparing.compare(house, caller, first, second)
    return ConsistencyAnswer(
        consistent=found.fault is None, fault=found.fault, sizes=list(found.sizes), path=[h.hex() for h in found.path]
    )


@router.get("/ledger/proofs/{evidence_id}")
def get_proof(house: House, caller: Caller, evidence_id: UUID) -> dict[str, Any]:
    """The proof of an entry or a decision, with what its commitments hold, opened."""
    return evidence_of(house, caller, evidence_id).as_dict()


@router.get("/ledger/proofs/{evidence_id}/file", response_class=Response, responses=_TEXT)
def get_proof_file(house: House, caller: Caller, evidence_id: UUID) -> Response:
    """The proof file (C2SP tlog-proof@v1) of an entry or a decision; standard tools can check it."""
    found = evidence_of(house, caller, evidence_id)
    return Response(found.entry.proof, media_type="text/plain; charset=utf-8",
                    headers={"content-disposition": f'attachment; filename="{evidence_id}.tlog-proof"'})  # fmt: skip


@router.post("/ledger/verifications", status_code=202)
def verify_ledger(house: House, caller: Caller, asked: VerifyRequest) -> VerifyAnswer:
    """Read everything again, in the background."""
    return VerifyAnswer(job_id=checking.request(house, caller, records=asked.records))


@router.get("/ledger/verifications")
def list_verifications(
    house: House, caller: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str | None = None
) -> VerificationPage:
    """What verifications found, the newest first."""
    page = standing.verifications(house, caller, PageRequest.parse(limit, cursor))
    return VerificationPage(items=[VerificationRow.of(v) for v in page.items], next=page.next, total=page.total_text)


@router.get("/ledger/verifications/{verification_id}")
def get_verification(house: House, caller: Caller, verification_id: UUID) -> VerificationRow:
    """One verification and the first hundred of its findings."""
    found = standing.verification(house, caller, verification_id)
    if found is None:
        raise NotFound(
            f"There is no verification '{verification_id}' in this organization.",
            remedy="List them to see which there are.",
        )
    return VerificationRow.of(found)


@router.post("/ledger/erasures")
def erase_from_ledger(house: House, caller: Caller, asked: ErasureRequest) -> ErasureAnswer:
    """Erase what is known of a subject or a person; every proof stays valid. A dry run unless `dry_run` is false."""
    caller.require("ledger.erase")
    person = identity.user_named(house, caller, asked.user).id if asked.user else None
    if asked.dry_run:
        plan = erasing.plan(house, caller, subject=asked.subject, person=person)
    else:
        plan = erasing.erase(house, caller, reason=asked.reason, subject=asked.subject, person=person)
    return ErasureAnswer(done=not asked.dry_run and bool(plan), actor_entries=list(plan.actor_entries), content_entries=list(plan.content_entries),
                         records=list(plan.records), told=[Erased(what=what, count=count) for what, count in plan.told], kept=list(plan.kept))  # fmt: skip


@router.post("/ledger/retention")
def prune_ledger(house: House, caller: Caller, asked: RetentionRequest) -> RetentionAnswer:
    """Archive and remove entries older than so many days; leaves and proofs stay. A dry run unless `dry_run` is false."""
    if asked.dry_run:
        done = pruning.plan(house, caller, retention_days=asked.retention_days)
    else:
        done = pruning.prune(house, caller, retention_days=asked.retention_days, batch_size=asked.batch_size)
    return RetentionAnswer(
        done=not asked.dry_run and done.archive is not None,
        **{n: getattr(done, n) for n in RetentionAnswer.model_fields if n != "done"},
    )

"""The proof of an entry as a card and as a file, on both engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from fastapi import FastAPI

from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.note import VerifierKey
from plumbline.kernel.ledger.pages import proofs
from plumbline.kernel.ledger.proof import check
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.service import proving, standing
from plumbline.kernel.models.evidence import evidence_of
from tests.conftest import Firm, SteppingClock
from tests.kernel.ledger.reading import acted, app, opened, read, sealed
from tests.kernel.ledger.tampering import owning
from tests.kernel.models.site import signed_in

__all__ = ["app"]


def test_the_files_hold_what_the_services_say(firm: Firm, app: FastAPI) -> None:
    entry = acted(firm)
    client = signed_in(app, firm, "viewer")
    waiting = client.get(f"/ledger/proofs/{entry}")
    assert waiting.status_code == 409
    assert "waits to be sealed" in waiting.text
    size = sealed(firm)
    s = standing.standing(firm.installation, firm.as_role("viewer"))
    known = [VerifierKey.parse(key) for key in s.verifier_keys]
    got = client.get(f"/ledger/proofs/{entry}")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert f'filename="{entry}.tlog-proof"' in got.headers["content-disposition"]
    found, checkpoint, _ = check(got.text, known)
    assert json.loads(found.leaf or b"")["id"] == str(entry)
    mark = client.get(f"/ledger/checkpoints/{size}")
    assert f'filename="{size:012d}.checkpoint"' in mark.headers["content-disposition"]
    assert note.open_checkpoint(mark.text, known)[0] == checkpoint
    assert client.get("/ledger/checkpoints/0").status_code == 422


def test_an_entry_waits_and_then_shows_its_chain(firm: Firm, app: FastAPI, clock: SteppingClock) -> None:
    entry = acted(firm)
    page = read(app, firm, f"/audit/{entry}")
    assert "It is sealed within a minute" in page
    card = f"/ledger/proofs/{entry}/card"
    assert f'hx-get="{card}" hx-trigger="every 10s"' in page
    clock.now += timedelta(minutes=6)
    assert "See what hinders it" in read(app, firm, card)
    size = sealed(firm)
    part = read(app, firm, card)
    assert "hx-trigger" not in part
    assert f"Recorded as entry {size:,}, sealed" in part
    assert "Verified" in part
    s = standing.standing(firm.installation, firm.as_role("viewer"))
    assert s.root is not None
    assert f'data-copy="{s.root.hex()}"' in part
    assert f"By the key {VerifierKey.parse(s.verifier_keys[-1]).id.hex()}" in part
    assert "docs/verify-without-plumbline.md" in part
    assert part in read(app, firm, f"/audit/{entry}")


def test_a_changed_entry_breaks_its_chain(firm: Firm, app: FastAPI, database_url: str) -> None:
    entry = acted(firm, 3)
    sealed(firm)
    with owning(database_url, firm.id) as owner:
        owner.run("UPDATE audit_log SET action = 'things.hide' WHERE id = ?", entry)
    part = read(app, firm, f"/ledger/proofs/{entry}/card")
    assert "Does not hold" in part
    assert "the roots differ" in part
    with owning(database_url, firm.id) as owner:
        owner.run("UPDATE audit_log SET action = 'things.do', details = '{}' WHERE id = ?", entry)
    assert "not what its leaf commits to" in read(app, firm, f"/ledger/proofs/{entry}/card")


def test_without_a_public_key_nothing_is_claimed(firm: Firm, app: FastAPI) -> None:
    entry = acted(firm)
    sealed(firm)
    for name in ("ledger.pub", "ledger.key"):
        (firm.installation.settings.keys / name).unlink()
    part = read(app, firm, f"/ledger/proofs/{entry}/card")
    assert "the signature was not checked here" in part
    assert "Verified" not in part


def test_a_witness_is_named_with_its_time(
    make_installation: Callable[..., Installation], database_url: str, clock: SteppingClock
) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    name = "witness.example"
    verifier = VerifierKey(name, key.public_key().public_bytes_raw(), note.COSIGNATURE)
    installation = make_installation(database_url, ledger_witnesses=[f"https://witness.example {verifier}"])
    firm = Firm(installation, "northwind")
    app = opened(installation, firm)
    entry = acted(firm)
    size = sealed(firm)
    text = note.split(proving.checkpoint(installation, firm.as_role("admin")))[0]
    at = clock.now + timedelta(seconds=30)
    with installation.worker_database.write(firm.id) as session:
        outside.add_cosignature(session, firm.id, size, witness=name, verifier_key=str(verifier), line=note.cosign(text, name, key, int(at.timestamp())),
                                signed_at=at + timedelta(hours=5), received_at=at)  # fmt: skip
    part = read(app, firm, f"/ledger/proofs/{entry}/card")
    assert "Verified" in part
    assert "Seen 24 Nov 2026, 09:41 UTC" in part  # as it was signed, not as it is stored
    assert f"By {name}, by its own clock" in part
    assert "No witness" not in part
    page = read(app, firm)
    assert f"Seen by {name}" in page
    assert "Not tried yet" in page


def test_the_card_checks_what_it_is_given(firm: Firm) -> None:
    viewer: Context = firm.as_role("viewer")
    entry = acted(firm, 4)
    sealed(firm)
    found = evidence_of(firm.installation, viewer, entry)
    known = proofs.trusted(firm.installation.settings, found.entry.origin)
    assert proofs.told(found, entry, known).state == "verified"
    assert proofs.told(found, entry, []).state == "sealed"
    foreign = [VerifierKey(found.entry.origin, bytes(range(32)))]
    assert proofs.told(found, entry, foreign).state == "broken"

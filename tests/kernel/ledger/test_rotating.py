"""The key that signs: handed over with both signatures, lost, foreign, interrupted half-way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, rotating, sealing, verifying
from tests.conftest import Firm, SteppingClock

REASON = "the yearly change of the key"


def act(firm: Firm, clock: SteppingClock, action: str = "thing.done") -> None:
    clock.now += timedelta(minutes=1)
    with Act(firm.installation.database, replace(firm.admin, now=clock()), action, "thing") as done:
        done.done(note="é")


def sealed(firm: Firm, clock: SteppingClock) -> str:
    act(firm, clock)
    clock.now += timedelta(minutes=1)
    found = sealing.seal(firm.installation, firm.id)
    assert found.note is not None
    return found.note


def signers(text: str) -> int:
    return len(note.split(text)[1])


def test_a_rotation_is_signed_by_both_keys_and_either_key_verifies(
    firm: Firm, other_firm: Firm, clock: SteppingClock
) -> None:
    sealed(firm, clock)
    sealed(other_firm, clock)
    before = keys.known_public(firm.installation.settings)
    done = rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    assert done.organizations == 2
    assert done.old == before[0]
    assert not (firm.installation.settings.keys / keys.NEXT).exists()
    with firm.installation.database.read(firm.id) as session:
        head = Trees(session, firm.id).head()
    assert head is not None
    assert signers(head.note) == 2
    assert signers(sealed(firm, clock)) == 1
    for publics in ([done.old], [done.new], [done.old, done.new], None):
        for one in (firm, other_firm):
            report = verifying.verify(one.installation, one.id, publics=publics)
            assert report.sound, report.findings
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert {f.kind for f in verifying.verify(firm.installation, firm.id, publics=[stranger]).findings} == {"signature"}


def test_a_second_rotation_is_followed_from_the_first_key(firm: Firm, clock: SteppingClock) -> None:
    sealed(firm, clock)
    first = keys.known_public(firm.installation.settings)
    for _ in range(3):
        rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
        sealed(firm, clock)
    assert len(keys.known_public(firm.installation.settings)) == 4
    for publics in (first, keys.known_public(firm.installation.settings)[-1:]):
        assert verifying.verify(firm.installation, firm.id, publics=publics).sound


def test_an_interrupted_rotation_goes_on(
    firm: Firm, other_firm: Firm, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(firm, clock)
    sealed(other_firm, clock)
    calls = []

    def torn(installation: Installation, organization_id: object, **rest: object) -> object:
        calls.append(organization_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sealing.seal(installation, organization_id, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rotating, "seal", torn)
    with pytest.raises(KeyboardInterrupt):
        rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    monkeypatch.undo()
    for one in (firm, other_firm):  # the sealer works on meanwhile, with both keys
        assert signers(sealed(one, clock)) == 2
    done = rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    for one in (firm, other_firm):
        assert signers(sealed(one, clock)) == 1
        for publics in ([done.old], [done.new]):
            report = verifying.verify(one.installation, one.id, publics=publics)
            assert report.sound, report.findings


def test_a_retired_key_seals_no_more(firm: Firm, clock: SteppingClock) -> None:
    sealed(firm, clock)
    old = keys.load(firm.installation.settings)
    rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    act(firm, clock)
    sealing.seal(firm.installation, firm.id, with_keys=old, replacing=True)  # the thief has the database as well
    found = verifying.verify(firm.installation, firm.id).findings
    assert [f.kind for f in found] == ["signature"]
    assert "retired" in found[0].text


def test_a_lost_key_is_replaced_in_the_open(firm: Firm, clock: SteppingClock) -> None:
    kept = sealed(firm, clock)
    settings = firm.installation.settings
    former = keys.known_public(settings)
    (settings.keys / keys.LOG).unlink()
    act(firm, clock)
    with pytest.raises(Conflict, match="missing"):
        sealing.seal(firm.installation, firm.id)
    assert keys.load(settings) is None, "no key is made up"
    with pytest.raises(Conflict, match="not there"):
        rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    done = rotating.rotate(
        firm.installation, replace(firm.admin, now=clock()), reason="the disk died and the safe was empty", lost=True
    )
    assert done.old == former[0]
    sealed(firm, clock)
    both = verifying.verify(firm.installation, firm.id, trusted=[kept])
    assert both.sound, both.findings
    assert any("replaced without the old one" in text for text in both.notes)
    only_old = verifying.verify(firm.installation, firm.id, publics=former)
    assert not only_old.sound, "who knows only the lost key has no reason to believe the new one"
    assert {f.kind for f in only_old.findings} == {"signature"}
    with pytest.raises(Conflict, match="not lost"):
        rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON, lost=True)


def test_a_configured_key_is_rotated_by_who_configures_it(
    database_url: str, make_installation: Callable[..., Installation], clock: SteppingClock, tmp_path: Path
) -> None:
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    firm = Firm(make_installation(database_url, ledger_key=keys.pem(first).decode()), "northwind")
    sealed(firm, clock)
    assert not (tmp_path / "keys" / keys.LOG).exists()
    with pytest.raises(InvalidInput, match="yours to make"):
        rotating.rotate(firm.installation, replace(firm.admin, now=clock()), reason=REASON)
    done = rotating.rotate(
        firm.installation, replace(firm.admin, now=clock()), reason=REASON, new_key=keys.pem(second).decode()
    )
    assert done.to_configure
    assert signers(sealed(firm, clock)) == 2, "until the setting says so, both sign"
    firm.installation = make_installation(database_url, ledger_key=keys.pem(second).decode())
    assert signers(sealed(firm, clock)) == 1
    for publics in ([done.old], [done.new]):
        report = verifying.verify(firm.installation, firm.id, publics=publics)
        assert report.sound, report.findings


def test_who_may_and_with_what_words(firm: Firm, clock: SteppingClock) -> None:
    with pytest.raises(Conflict, match="Nothing was sealed"):
        rotating.rotate(firm.installation, firm.admin, reason=REASON)
    sealed(firm, clock)
    with pytest.raises(InvalidInput, match="at least 10"):
        rotating.rotate(firm.installation, firm.admin, reason="because")
    with pytest.raises(Forbidden):
        rotating.rotate(firm.installation, firm.as_role("analyst"), reason=REASON)

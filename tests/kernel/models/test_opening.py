"""Decisions opened for outsiders: what they can check with SHA-256 alone, and what has no opening."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from plumbline.kernel import canonical
from plumbline.kernel.errors import Corrupt, NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import tree
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.models import records, stored
from plumbline.kernel.models.tables import Model
from tests.conftest import Firm
from tests.kernel.models.recorded import (
    batch_of,
    change,
    row_ids,
    single,
)
from tests.kernel.models.scale import register

pytestmark = pytest.mark.usefixtures("scale_room")


@pytest.fixture
def model(installation: Installation, firm: Firm) -> Model:
    return register(installation, firm.admin)


def test_an_outsider_can_check_a_single_decision_and_a_row_of_a_batch(
    installation: Installation, firm: Firm, model: Model
) -> None:
    key = single(installation, firm, model)
    batch = batch_of(installation, firm, model, 300)
    opened = records.record_opening(installation, firm.id, key)
    assert opened is not None
    assert opened.leaf_index is None
    seal(installation, firm.id)
    opened = records.record_opening(installation, firm.id, key)
    assert opened is not None
    assert opened.leaf_index is not None
    assert hashlib.sha256(opened.salt + opened.record).hexdigest() == opened.record_sha256
    assert canonical.loads(opened.record)["id"] == str(key)
    for number in (1, 2, 255, 256, 257, 300):
        row = row_ids(installation, firm, batch)[number - 1]
        proof = records.proof_of_row(installation, firm.id, row)
        assert (proof.batch_id, proof.index, proof.size) == (batch, number - 1, 300)
        digest = hashlib.sha256(proof.salt + proof.record).digest()
        assert digest == proof.record_sha256
        assert tree.root_from_inclusion(tree.leaf_hash(digest), proof.index, proof.size, proof.path) == proof.root
        assert canonical.loads(proof.record)["subject_id"] == f"S-{number}"


def test_what_has_no_opening_says_why(installation: Installation, firm: Firm, other_firm: Firm, model: Model) -> None:
    key, batch = single(installation, firm, model), batch_of(installation, firm, model, 3)
    row = row_ids(installation, firm, batch)[0]
    running = row_ids(installation, firm, batch_of(installation, firm, model, 1, status="processing"))[0]
    for look, wanted in (
        (records.record_opening, UUID(int=5)), (records.proof_of_row, UUID(int=5)), (records.record_opening, row), (records.proof_of_row, key),
        (records.proof_of_row, running),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            look(installation, firm.id, wanted)
    with pytest.raises(NotFound):
        records.record_opening(installation, other_firm.id, key)
    change(installation, "UPDATE predictions SET probability = 0.25")
    for look, wanted in ((records.record_opening, key), (records.proof_of_row, row)):
        with pytest.raises(Corrupt):
            look(installation, firm.id, wanted)
    stored.file_of(installation, batch).unlink()
    with pytest.raises(Corrupt, match="gone"):
        records.proof_of_row(installation, firm.id, row)

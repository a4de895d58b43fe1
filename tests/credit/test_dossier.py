"""The dossier of a credit decision, made on either engine and checked as an outsider would: with standard tools only."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from plumbline.credit import service
from plumbline.credit.service.batches import BatchView
from plumbline.kernel.dossier import document
from plumbline.kernel.dossier import service as dossiers
from plumbline.kernel.errors import Corrupt, NotFound
from plumbline.kernel.ledger.service import erasing, rotating, sealing
from plumbline.kernel.paging import PageRequest
from tests.credit import trained
from tests.credit.trained import Lender, embedded, lender, lenders, other, sqlite_lenders
from tests.kernel.dossier.outsider import SHELL, check, check_row, demand_bound, opened, sh, sha256, unpacked

__all__ = ["embedded", "lender", "lenders", "other", "sqlite_lenders"]
HOSTILE = "42<script>alert(1)</script>"


def scored(lender: Lender, level: str = "High") -> UUID:
    return service.score(lender.installation, lender.analyst, trained.application_with(level=level)).id


def batch(lender: Lender, folder: Path, rows: int = 7) -> tuple[BatchView, list[UUID]]:
    tables = trained.unlabelled()
    view = lender.batch(
        trained.write_zip(folder / "branch.zip", tables | {"application": tables["application"].head(rows)})
    )
    page = service.rows_of(lender.installation, lender.analyst, view.batch.id, PageRequest(500))
    return view, [p.id for p in reversed(page.items)]


# a single decision


def test_a_single_decision_is_told_and_proved(lender: Lender, tmp_path: Path) -> None:
    key = scored(lender)
    made = dossiers.make(lender.installation, lender.analyst, key)
    folder = unpacked(made, tmp_path / "dossier")
    said = demand_bound(folder)
    assert sha256(folder / "record.bin") == said["record_sha256"]
    assert said["model_sha256"] == lender.sha256 == made.model.sha256
    record = opened(folder / "record.bin")
    stored = service.decision_of(lender.installation, lender.analyst, key)
    assert (
        record["content"]
        == stored.prediction.content
        == json.loads((folder / "dossier.json").read_bytes())["decision"]["content"]
    )
    assert record["id"] == str(key)
    assert made.told.replay.equal is True
    assert not (folder / "record-path.json").exists()
    assert made.checkpoint.encode() == (folder / "checkpoint.txt").read_bytes()
    # the dossier's own entry is in the tree that its checkpoint signs
    size = int(made.checkpoint.splitlines()[1])
    assert sealing.seal(lender.installation, lender.id).size == size
    assert made.events[-1].action == "dossier.make"


def test_it_shows_reasons_inputs_and_figures(lender: Lender) -> None:
    key = scored(lender)
    made = dossiers.make(lender.installation, lender.analyst, key)
    view = service.decision_of(lender.installation, lender.analyst, key)
    page = document.as_html(made).decode()
    reasons = view.prediction.explanation["reasons"]
    assert [r.text for r in made.told.reasons] == [r["text"] for r in reasons]
    assert all(r["text"] in page for r in reasons)
    used = {t.title: t for t in made.told.used}
    assert set(used["Every input of the model"].under) == set(view.prediction.features)
    steps = [int((row[1] or "").replace("−", "-").replace(",", "")) for row in used["How the score came about"].rows]
    assert sum(steps[:-1]) == steps[-1] == view.prediction.extra["points"]
    given = {t.title: t for t in made.told.given}
    content = view.prediction.content
    assert set(given) == set(content)
    assert len(given["application"].rows) == sum(v is not None for v in content["application"].values())
    for name, rows in content.items():
        if name != "application":
            assert len(given[name].rows) == len(rows)  # all of them
    amount = f"{content['application']['AMT_CREDIT']:,}".removesuffix(".0")
    assert any(row[1] == amount for row in given["application"].rows)  # every digit
    assert str(content["application"]["SK_ID_CURR"]) in [
        row[1] for row in given["application"].rows
    ]  # a name, no amount
    assert made.told.output["probability"] == view.prediction.probability
    assert made.model.figures == view.model.metrics
    assert "equal bit for bit" in page


def test_hostile_words_of_an_application_stay_words(embedded: Lender, tmp_path: Path) -> None:
    application = trained.application_with(level="Low")
    application["application"]["OCCUPATION_TYPE"] = HOSTILE
    application["application"]["NAME_TYPE_SUITE"] = '"><img src=x>'
    key = service.score(embedded.installation, embedded.analyst, application).id
    page = document.as_html(dossiers.make(embedded.installation, embedded.analyst, key)).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "42&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("shell", SHELL)
def test_altered_files_are_refused(embedded: Lender, tmp_path: Path, shell: str) -> None:
    folder = unpacked(dossiers.make(embedded.installation, embedded.analyst, scored(embedded)), tmp_path / "dossier")
    proof, key = folder / "proof.tlog-proof", folder / "public-key.pem"
    sound, right = proof.read_text(), key.read_text()
    assert check(folder, shell).returncode == 0
    lines = sound.split("\n")
    leaf = lines[1]
    at = len(leaf) // 2
    altered = {
        "the entry": sound.replace(leaf, leaf[:at] + ("A" if leaf[at] != "A" else "B") + leaf[at + 1 :]),
        "its place": sound.replace(lines[2], "index 0" if lines[2] != "index 0" else "index 1"),
        "the end": sound[:-1],
        "the signature": re.sub(r"(— \S+ .{20}).", lambda m: m[1] + ("A" if m[0][-1] != "A" else "B"), sound),
    }
    for what, text in altered.items():
        assert text != sound, what
        proof.write_text(text)
        done = check(folder, shell)
        assert done.returncode == 1, what
        assert "NOT PROVED" in done.stderr, what
    proof.write_text(sound)
    other = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    key.write_bytes(subprocess.run(["openssl", "pkey", "-pubout"], input=other, capture_output=True, check=True).stdout)
    assert "NOT PROVED" in check(folder, shell).stderr
    key.write_text(right)
    for name in ("content.bin", "record.bin", "dossier.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        assert sh(folder, "-c", "sha256sum -c SHA256SUMS").returncode == 1
    assert sha256(folder / "content.bin") != json.loads((folder / "leaf.json").read_text())["content"]


def test_each_one_is_an_entry_of_the_next(lender: Lender) -> None:
    key = scored(lender)
    for number in range(1, 4):
        made = dossiers.make(lender.installation, lender.analyst, key)
        assert [e.action for e in made.events].count("dossier.make") == number
        assert len(lender.entries("dossier.make")) == number
        assert made.events[-1].entry_id == lender.entries("dossier.make")[-1].id


def test_another_organization_has_none_of_it(lender: Lender, other: Lender) -> None:
    key = scored(lender)
    with pytest.raises(NotFound):
        dossiers.make(other.installation, other.admin, key)
    assert not other.entries("dossier.make")
    assert not lender.entries("dossier.make", success=False)


# a row of a batch


def test_a_row_of_a_batch_is_led_to_its_root(lender: Lender, tmp_path: Path) -> None:
    view, rows = batch(lender, tmp_path)
    for place in (0, 3, 6):
        made = dossiers.make(lender.installation, lender.analyst, rows[place])
        folder = unpacked(made, tmp_path / str(place))
        said = demand_bound(folder)
        assert said["records_root"] == view.batch.extra["records_root"]
        done = check_row(folder)
        assert done.returncode == 0, done.stderr
        assert said["records_root"] in done.stdout
        path = json.loads((folder / "record-path.json").read_text())
        assert (path["index"], path["size"], path["root"]) == (place, 7, said["records_root"])
        record = opened(folder / "record.bin")
        assert record["id"] == str(rows[place])
        assert made.told.replay.equal is True
        assert [e.action for e in made.events] == ["credit.batch.submit", "credit.batch.score", "dossier.make"]
        main = made.told.input["application"][0]
        assert str(main["SK_ID_CURR"]) == made.subject_id == record["subject_id"]
        subject = main["SK_ID_CURR"]
        for name in ("bureau", "previous_application", "installments_payments"):
            found = trained.unlabelled()[name]
            assert len(made.told.input[name]) == found.filter(found["SK_ID_CURR"] == subject).height
        assert made.told.reasons
        assert document.as_html(made)


@pytest.mark.parametrize("shell", SHELL)
def test_an_altered_row_is_refused(embedded: Lender, tmp_path: Path, shell: str) -> None:
    _, rows = batch(embedded, tmp_path)
    folder = unpacked(dossiers.make(embedded.installation, embedded.analyst, rows[4]), tmp_path / "dossier")
    assert check_row(folder, shell).returncode == 0
    sound = {name: (folder / name).read_bytes() for name in ("record.bin", "record-path.json", "content.bin")}
    path = sound["record-path.json"]
    first = re.search(rb'"([A-Za-z0-9+/]{43}=)"', path)
    assert first is not None
    altered = {
        "the record": ("record.bin", sound["record.bin"][:-1] + b"]"),
        "its salt": ("record.bin", bytes([sound["record.bin"][0] ^ 1]) + sound["record.bin"][1:]),
        "its place": ("record-path.json", path.replace(b'"index":4', b'"index":5')),
        "the size": ("record-path.json", path.replace(b'"size":7', b'"size":5')),
        "no size": ("record-path.json", path.replace(b'"size":7', b'"size":4')),
        "a hash": ("record-path.json", path.replace(first[1], b"A" * 43 + b"=")),
        "a hash less": ("record-path.json", path.replace(b'"' + first[1] + b'",', b"")),
        "a hash more": ("record-path.json", path.replace(b'"' + first[1] + b'"', b'"' + first[1] + b'","' + first[1] + b'"')),
        "the root": ("content.bin", sound["content.bin"].replace(b'"records_root":"', b'"records_root":"0')),
        "another content": ("content.bin", b""),
    }  # fmt: skip
    for what, (name, data) in altered.items():
        assert data != sound[name], what
        (folder / name).write_bytes(data)
        done = check_row(folder, shell)
        assert done.returncode == 1, what
        assert "NOT PROVED" in done.stderr, what
        (folder / name).write_bytes(sound[name])


def test_a_file_that_is_gone_or_altered_is_said(embedded: Lender, tmp_path: Path) -> None:
    view, rows = batch(embedded, tmp_path)
    upload = next(p for p in embedded.folder(view).iterdir() if p.name.startswith("upload"))
    kept = upload.read_bytes()
    upload.unlink()
    made = dossiers.make(embedded.installation, embedded.analyst, rows[1])
    assert made.told.replay.equal is None
    assert "cannot be run again" in made.told.replay.sentence
    folder = unpacked(made, tmp_path / "gone")
    demand_bound(folder)
    assert check_row(folder).returncode == 0  # the proof needs no upload
    assert made.told.used  # the inputs of a small batch were stored
    page = document.as_html(made).decode()
    assert "Not possible" in page
    # another income in the same row
    tables = trained.unlabelled()
    income = tables["application"].head(7)["AMT_INCOME_TOTAL"].to_list()
    income[1] += 1_000_000
    changed = tables["application"].head(7).with_columns(AMT_INCOME_TOTAL=pl.Series(income))
    trained.write_zip(upload, tables | {"application": changed})
    assert upload.read_bytes() != kept
    made = dossiers.make(embedded.installation, embedded.analyst, rows[1])
    assert made.told.replay.equal is False
    assert made.told.replay.differences[0].startswith("inputs of the model")
    assert any(d.startswith("input:") for d in made.told.replay.differences)
    assert embedded.entries("dossier.make")[-1].details["replay_equal"] is False


def test_a_damaged_model_hides_nothing_of_what_was_recorded(embedded: Lender, tmp_path: Path) -> None:
    key = scored(embedded)
    empty = tmp_path / "no-models"
    empty.mkdir()
    from plumbline.kernel.installation import Installation

    settings = embedded.installation.settings.model_copy(update={"artifacts": str(empty)})
    installation = Installation.open(settings, clock=embedded.installation.clock)
    try:
        made = dossiers.make(installation, embedded.analyst, key)
    finally:
        installation.close()
    assert made.told.replay.equal is None
    assert made.told.reasons
    assert made.told.input["application"]
    demand_bound(unpacked(made, tmp_path / "dossier"))


# erased


def test_an_erased_decision_says_so_and_is_proved(lender: Lender, tmp_path: Path) -> None:
    key = scored(lender)
    before = unpacked(dossiers.make(lender.installation, lender.analyst, key), tmp_path / "before")
    subject = service.decision_of(lender.installation, lender.analyst, key).prediction.subject_id
    erasing.erase(lender.installation, lender.admin, reason="The applicant asked for it.", subject=subject)
    made = dossiers.make(lender.installation, lender.analyst, key)
    folder = unpacked(made, tmp_path / "after")
    said = demand_bound(folder)
    assert said["record_sha256"] == sha256(before / "record.bin")  # an old copy can still be checked
    assert not (folder / "record.bin").exists()
    assert made.erasure is not None
    assert made.erasure.reason == "The applicant asked for it."
    assert made.told.replay.equal is None
    assert made.told.reasons == ()
    page = document.as_html(made).decode()
    whole = "".join((folder / name).read_text("utf-8") for name in ("dossier.html", "dossier.json", "README.txt"))
    assert f"Application {subject}" not in whole
    assert "Parts of this decision were erased" in page
    assert "The applicant asked for it." in page
    assert "erased" in (folder / "README.txt").read_text()
    assert [e.action for e in made.events if e.action == "ledger.erase"] == ["ledger.erase"]
    assert check(before).returncode == 0


def test_an_erased_row_of_a_batch_is_proved_by_the_batch(lender: Lender, tmp_path: Path) -> None:
    view, rows = batch(lender, tmp_path)
    subject = service.decision_of(lender.installation, lender.analyst, rows[2]).prediction.subject_id
    erasing.erase(lender.installation, lender.admin, reason="The applicant asked for it.", subject=subject)
    made = dossiers.make(lender.installation, lender.analyst, rows[2])
    folder = unpacked(made, tmp_path / "after")
    assert demand_bound(folder)["records_root"] == view.batch.extra["records_root"]
    assert made.found.decision is None
    assert not {"record.bin", "record-path.json", "check-row.sh"} & {p.name for p in folder.iterdir()}
    assert subject not in (folder / "dossier.json").read_text()
    assert "nor can be told which of the batch’s records it was" in (folder / "dossier.html").read_text("utf-8")


def test_words_of_a_review_that_were_erased_are_gone_from_the_history(embedded: Lender) -> None:
    from plumbline.credit.service import triage

    key = scored(embedded)
    view = service.decision_of(embedded.installation, embedded.analyst, key)
    assert view.review is not None
    triage.note(embedded.installation, embedded.analyst, view.review.id, "Called the applicant at home.")
    erasing.erase(
        embedded.installation, embedded.admin, reason="The applicant asked for it.", subject=view.prediction.subject_id
    )
    made = dossiers.make(embedded.installation, embedded.analyst, key)
    [noted] = [e for e in made.events if e.action == "credit.review.note"]
    assert noted.text == "What it said was erased."
    assert b"at home" not in document.as_html(made) + document.as_json(made)


def test_a_person_whose_acts_were_erased_has_no_opening(embedded: Lender, tmp_path: Path) -> None:
    key = scored(embedded)
    erasing.erase(
        embedded.installation, embedded.admin, reason="The analyst left and asked.", person=embedded.people["analyst"]
    )
    folder = unpacked(dossiers.make(embedded.installation, embedded.admin, key), tmp_path / "dossier")
    assert check(folder).returncode == 0
    assert not (folder / "actor.bin").exists()
    assert "actor.bin" not in (folder / "README.txt").read_text()


# keys


def test_after_the_key_was_changed_each_file_has_the_key_that_signed_it(embedded: Lender, tmp_path: Path) -> None:
    key = scored(embedded)
    sealing.seal(embedded.installation, embedded.id)
    rotating.rotate(embedded.installation, embedded.admin, reason="The yearly change of the key.")
    made = dossiers.make(embedded.installation, embedded.analyst, key)
    folder = unpacked(made, tmp_path / "dossier")
    demand_bound(folder)
    assert len(made.keys) == 2
    assert [k.proof for k in made.keys] == [True, False]
    if not made.key.checkpoint:
        assert (folder / "checkpoint-public-key.pem").read_text() == made.keys[1].pem
    later = scored(embedded, "Low")
    folder = unpacked(dossiers.make(embedded.installation, embedded.analyst, later), tmp_path / "later")
    assert (folder / "public-key.pem").read_text() == made.keys[1].pem
    demand_bound(folder)


def test_without_a_key_that_fits_there_is_none(embedded: Lender) -> None:
    from plumbline.kernel.errors import Conflict

    key = scored(embedded)
    sealing.seal(embedded.installation, embedded.id)
    (embedded.installation.settings.keys / "ledger.key").unlink()
    with pytest.raises(Conflict, match="key"):
        dossiers.make(embedded.installation, embedded.analyst, key)


def test_a_changed_record_of_a_batch_has_none(embedded: Lender, tmp_path: Path) -> None:
    _, rows = batch(embedded, tmp_path)
    embedded.change(
        "UPDATE predictions SET prediction_result = 'Low', probability = 0.001 WHERE id = :id", id=embedded.key(rows[0])
    )
    with pytest.raises(Corrupt):
        dossiers.make(embedded.installation, embedded.analyst, rows[0])

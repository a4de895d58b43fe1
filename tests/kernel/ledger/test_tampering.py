"""Twenty-six ways to change history behind the application's back, each found and named."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from plumbline.kernel.errors import Conflict, Corrupt, InvalidInput
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import verifying
from plumbline.kernel.ledger.service.verifying import Report
from plumbline.settings import Settings
from tests.conftest import NOW, Server, SteppingClock
from tests.kernel.ledger import attacks, tampering
from tests.kernel.ledger.attacks import ATTACKS, Attack
from tests.kernel.ledger.tampering import APART, BATCH, BATCHES, SIZE, VICTIM, Case, World

_copies = itertools.count(1)


@dataclass
class Worlds:
    """One per engine, made when it is needed first and copied for each attack."""

    folder: Path
    made: dict[str, World] = field(default_factory=dict)
    server: Server | None = None

    def of(self, engine: str, fresh: Callable[[], str]) -> World:
        if engine not in self.made:
            url, clock, key = fresh(), SteppingClock(), Ed25519PrivateKey.generate()
            pem = SecretStr(tampering.keys.pem(key).decode())
            installation = Installation.open(Settings(home=self.folder, database_url=url, ledger_key=pem), clock=clock)
            try:
                self.made[engine] = tampering.build(installation, clock, url, key)
            finally:
                installation.close()  # a template that somebody is connected to cannot be copied
        return self.made[engine]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    worlds = Worlds(tmp_path_factory.mktemp("worlds"))
    yield worlds
    if worlds.server is not None:
        worlds.server.drop(worlds.made["postgresql"].url)


def _sqlite_world(worlds: Worlds, request: pytest.FixtureRequest) -> World:
    def fresh() -> str:
        shutil.copy(request.getfixturevalue("sqlite_template"), worlds.folder / "world.db")
        return f"sqlite:///{worlds.folder / 'world.db'}"

    return worlds.of("sqlite", fresh)


@pytest.fixture
def case(engine_name: str, request: pytest.FixtureRequest, worlds: Worlds, tmp_path: Path, clock: SteppingClock,
         make_installation: Callable[..., Installation]) -> Iterator[Case]:  # fmt: skip
    """The world as it was, to be attacked."""
    if engine_name == "sqlite":
        world = _sqlite_world(worlds, request)
        path = tmp_path / "plumbline.db"
        shutil.copy(worlds.folder / "world.db", path)
        url = f"sqlite:///{path}"
    else:
        worlds.server = server = request.getfixturevalue("postgres")
        world = worlds.of(engine_name, server.fresh)
        name = f"pl_world_{os.getpid()}_{next(_copies)}"
        server.execute(f"CREATE DATABASE {name} TEMPLATE {sa.make_url(world.url).database}")
        url = server.named(name)
    clock.now = NOW + BATCHES * APART
    yield Case(world, url, make_installation(url, ledger_key=SecretStr(world.pem)), clock)
    if engine_name == "postgresql":
        server.drop(url)


def verify(case: Case, *sizes: int, since: int | None = None) -> Report:
    """My ledger, with the public key and these checkpoints from outside."""
    return verifying.verify(case.installation, case.world.mine.organization_id, publics=[case.world.public],
                            trusted=[case.world.notes[n] for n in sizes],
                            since=None if since is None else case.world.notes[since])  # fmt: skip


def verify_theirs(case: Case) -> Report:
    return verifying.verify(case.installation, case.world.theirs.organization_id, publics=[case.world.public])


def found(report: Report, kind: str, words: str) -> None:
    assert not report.sound
    assert any(f.kind == kind and words in f.text for f in report.findings), report.findings


def test_the_world_is_sound_before_it_is_attacked(case: Case) -> None:
    for report in (verify(case), verify(case, BATCH, 2 * BATCH, SIZE), verify_theirs(case)):
        assert report.sound
        assert not report.findings
        assert (report.size, report.entries, report.checkpoints, report.waiting) == (SIZE, SIZE, BATCHES, 0)
    with case.inside() as owner:  # and taking the guards off and putting them back is no change
        assert len(owner.trees.checkpoints()) == BATCHES
    assert verify(case, SIZE).sound


def test_there_are_twenty_six() -> None:
    assert len({attack.do for attack in ATTACKS}) == len(ATTACKS) == 26
    assert [a.do.__name__ for a in ATTACKS if a.needs] == ["everything_with_the_key", "old_backup", "split_view"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.do.__name__)
def test_an_attack_is_found_and_named(case: Case, attack: Attack, engine_name: str) -> None:
    words = attack.do(case)
    kind = attack.kind_on(engine_name)
    alone = verify(case)
    if attack.needs is None:
        found(alone, kind, words)
        found(verify(case, SIZE), kind, words)
    else:
        assert alone.sound, alone.findings  # who has the key, or an old copy, can only be shown what was seen before
        for size in case.world.notes:
            report = verify(case, size)
            if size < attack.needs:
                assert report.sound, report.findings
            else:
                found(report, kind, words)
                assert all(f.tree_size == size for f in report.findings)
    assert verify_theirs(case).sound is not attack.both


def test_checkpoints_of_several_days_say_when_history_was_rewritten(case: Case) -> None:
    """With a checkpoint from before and one from after, the finding names the leaves between them."""
    attacks.everything_with_the_key(case)
    found(verify(case, BATCH, 2 * BATCH), "rewritten", f"between leaf {BATCH} and leaf {2 * BATCH - 1}")
    assert [f.tree_size for f in verify(case, BATCH, 2 * BATCH, SIZE).findings] == [2 * BATCH, SIZE]


def test_a_smaller_history_is_cut_also_when_it_is_signed(case: Case) -> None:
    """Deleted, renumbered and signed with the real key: one entry less than was seen before."""
    attacks.renumbered_with_the_key(case)
    found(verify(case, SIZE), "cut", f"ends at {SIZE - 1} entries, but had {SIZE} once")


def test_only_what_came_after_a_checkpoint_is_read_again(case: Case) -> None:
    """From the last complete subtree of 256 before it, for the roots."""
    report = verify(case, since=2 * BATCH)
    assert report.sound
    assert (report.from_size, report.size, report.entries) == (2 * BATCH, SIZE, SIZE - 512)
    attacks.clear_column(case, VICTIM)
    report = verify(case, since=2 * BATCH)
    assert report.sound
    assert report.entries == SIZE - 512
    words = attacks.clear_column(case, 700)
    report = verify(case, since=2 * BATCH)
    found(report, "changed", words)
    assert {f.leaf_index for f in report.findings if f.kind == "changed"} == {700}
    assert {f.leaf_index for f in verify(case).findings if f.kind == "changed"} == {VICTIM, 700}
    assert verify(case, since=SIZE).entries == SIZE - 768


def test_a_checkpoint_from_before_the_one_asked_from_is_said_to_be_held_against_nothing(case: Case) -> None:
    assert verify(case, BATCH, since=BATCH).notes == verify(case, 2 * BATCH, SIZE, since=BATCH).notes == []
    (text,) = verify(case, BATCH, SIZE, since=2 * BATCH).notes
    assert text.startswith(f"The checkpoint of {BATCH} entries was not held against anything")
    attacks.old_backup(case)  # also where history is shorter than what was asked from
    report = verify(case, BATCH, since=SIZE)
    assert [f.kind for f in report.findings] == ["cut"]
    assert len(report.notes) == 1


@pytest.mark.parametrize("since", [BATCH, 2 * BATCH])
def test_what_came_before_is_held_together_by_the_checkpoint(case: Case, since: int) -> None:
    """Not read again, but the stored nodes of former leaves have to give the roots that were signed."""
    with case.inside() as owner:
        owner.run("UPDATE ledger_nodes SET hash = ? WHERE organization_id = ? AND node_index = 0", bytes(32), owner.key)
    found(verify(case, since=since), "root", f"Checkpoint {SIZE}")


def test_an_old_copy_that_was_restored_is_shorter_than_the_checkpoint_asked_from(case: Case) -> None:
    words = attacks.old_backup(case)
    report = verify(case, since=SIZE)
    found(report, "cut", words)
    assert [f.kind for f in report.findings] == ["cut"]
    assert verify(case, since=2 * BATCH).sound


def test_history_that_went_on_from_an_old_copy_does_not_follow_from_the_checkpoint(case: Case) -> None:
    attacks.split_view(case)
    found(verify(case, since=SIZE), "rewritten", f"The trusted checkpoint of {SIZE} entries does not fit")


def test_a_checkpoint_that_is_none_of_ours_is_refused(case: Case) -> None:
    mine, theirs = case.world.mine.organization_id, case.world.theirs.organization_id
    good = case.world.notes[SIZE]
    with pytest.raises(InvalidInput, match="another ledger"):
        verifying.verify(case.installation, theirs, publics=[case.world.public], trusted=[good])
    for text in (
        good.replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n"),
        good[:-3],
        good.split("\n\n", maxsplit=1)[0] + "\n",
        "",
        "nonsense",
    ):
        with pytest.raises(InvalidInput, match="cannot be trusted"):
            verifying.verify(case.installation, mine, publics=[case.world.public], trusted=[text])
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(InvalidInput, match="no known key"):
        verifying.verify(case.installation, mine, publics=[stranger], trusted=[good])
    report = verifying.verify(case.installation, mine, publics=[stranger])
    assert {f.tree_size for f in report.findings if f.kind == "signature"} == set(case.world.notes)


# --- beyond the design's table


def history_rewritten(case: Case) -> None:
    """Without the key: the row, its leaf, the nodes and the root, and the checkpoints that disagree removed."""
    with case.inside() as owner:
        owner.recommit(owner.leaf(VICTIM)[0])
        owner.rebuild(None)
        owner.run("DELETE FROM ledger_checkpoints WHERE organization_id = ? AND tree_size < ?", owner.key, SIZE)


def tree_renamed(case: Case) -> None:
    """As the other organization's: the signature would vouch for this tree as theirs."""
    with case.inside() as owner:
        owner.run("UPDATE ledger_trees SET origin = ? WHERE organization_id = ?",
                  f"plumbline.local/ledger/{case.world.theirs.organization_id}", owner.key)  # fmt: skip


def sealed_entry_queued(case: Case) -> None:
    with case.inside() as owner:
        owner.queue(owner.leaf(VICTIM)[0])


@pytest.mark.parametrize("attack", [history_rewritten, tree_renamed, sealed_entry_queued, attacks.node_edited, attacks.note_edited,
                                    attacks.unsealed, attacks.tail_cut, attacks.last_checkpoint_deleted])  # fmt: skip
def test_the_sealer_signs_nothing_on_top_of_what_it_did_not_sign(case: Case, attack: Callable[[Case], object]) -> None:
    """Else the next seal would give the attacker the signature that he cannot make himself."""
    attack(case)
    case.add(3, NOW + BATCHES * APART)
    with case.inside() as owner:
        before = owner.trees.checkpoints(), owner.trees.waiting()
    with pytest.raises((Corrupt, Conflict)):
        case.seal(NOW + BATCHES * APART)
    with case.inside() as owner:
        assert (owner.trees.checkpoints(), owner.trees.waiting()) == before


def test_a_place_in_the_queue_for_nothing_hides_no_entry_that_was_not_queued(case: Case) -> None:
    """As many entries as leaves and places in the queue: only their number is right."""
    with case.inside() as owner:
        key = attacks.insert(case, owner)
        owner.queue(UUID(int=7))
    found(verify(case), "inserted", str(key))


def test_a_sealed_entry_put_back_into_the_queue_is_told(case: Case) -> None:
    sealed_entry_queued(case)
    report = verify(case)
    assert not report.sound
    assert any(str(case.world.entries[VICTIM]) in f.text for f in report.findings), report.findings


NONSENSE: list[tuple[str, str, str, object]] = [
    ("ledger_trees", "origin", "", "two words"),
    ("ledger_trees", "origin", "", ""),
    ("ledger_trees", "pruned_below", "", SIZE),
    ("ledger_checkpoints", "sealed_at", " AND tree_size = 600", "infinity"),
    ("ledger_checkpoints", "note", " AND tree_size = 600", "\r\n"),
    ("ledger_checkpoints", "root_hash", " AND tree_size = 600", b"short"),
    ("ledger_leaves", "leaf_hash", " AND leaf_index = 400", b""),
    ("ledger_nodes", "hash", " AND node_index = 1", b""),
    ("audit_log", "actor_commitment", " AND id = ?", b""),
    ("audit_log", "timestamp", " AND id = ?", "infinity"),
]


def test_nonsense_in_a_column_is_a_finding_and_no_fault_of_the_verifier(case: Case) -> None:
    wrong = []
    for table, column, rest, value in NONSENSE:
        keys = (case.world.entries[VICTIM],) if "id" in rest.split() else ()
        where = f"WHERE organization_id = ?{rest}"
        with case.inside() as owner:
            ((before,),) = owner.run(f"SELECT {column} FROM {table} {where}", owner.key, *keys)
            owner.run(f"UPDATE {table} SET {column} = ? {where}", value, owner.key, *keys)
        try:
            if verify(case).sound:
                wrong.append(f"{column} = {value!r}: not found")
        except Exception as error:  # each kind of nonsense is to be tried
            wrong.append(f"{column} = {value!r}: {type(error).__name__}: {error}")
        with case.inside() as owner:
            owner.run(f"UPDATE {table} SET {column} = ? {where}", before, owner.key, *keys)
    assert not wrong
    assert verify(case).sound


def test_a_checkpoint_of_a_size_that_never_was_costs_no_time(case: Case) -> None:
    """The tree is as long as it has leaves, whatever a row says."""
    with case.inside() as owner:
        owner.run(
            "UPDATE ledger_checkpoints SET tree_size = 4000000 WHERE organization_id = ? AND tree_size = ?",
            owner.key,
            SIZE,
        )
    read: list[int] = []
    report = verifying.verify(case.installation, case.world.mine.organization_id, publics=[case.world.public],
                              told=lambda done, total: read.append(done))  # fmt: skip
    found(report, "note", "Checkpoint 4000000: its signed note does not match its row")
    found(report, "missing", f"Leaf {SIZE}: it is missing")
    assert len([f for f in report.findings if f.kind == "missing"]) == len(read) == 1


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("audit_log", {"action": "other"}),
        ("ledger_leaves", {"leaf_index": 5000}),  # the same entry at another place: a second unique key
        ("ledger_leaves", {"leaf_hash": bytes(32)}),
        ("ledger_nodes", {"hash": bytes(32)}),
        ("ledger_checkpoints", {"note": "other"}),
        ("ledger_trees", {"pruned_below": 900}),
    ],
    ids=str,
)
def test_replacing_a_row_does_not_pass_the_guards(
    worlds: Worlds, request: pytest.FixtureRequest, tmp_path: Path, table: str, change: dict[str, object]
) -> None:
    """SQLite's INSERT OR REPLACE asks the triggers of DELETE only where ``recursive_triggers`` is on, as in no shell."""
    _sqlite_world(worlds, request)
    path = tmp_path / "plumbline.db"
    shutil.copy(worlds.folder / "world.db", path)
    connection = sqlite3.connect(path)
    try:
        cursor = connection.execute(f"SELECT * FROM {table} LIMIT 1")
        values = dict(zip([d[0] for d in cursor.description], cursor.fetchone())) | change
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(
                f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                list(values.values()),
            )
    finally:
        connection.close()

"""Verifying: whether everything that was sealed is still there, as it was, in its order, and signed by a known key.

Nothing in the database is believed but what a signature by a given key, or a checkpoint kept elsewhere, commits to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from plumbline.kernel import clock
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, scanning, tree
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.scanning import Finding, Part, Window

LAG = timedelta(hours=1)
"""The longest time an act may wait between its clock and its seal before it looks back-dated."""
AHEAD = timedelta(minutes=5)
"""How far an entry's clock may be ahead of the sealer's."""
ROTATE, ERASE, PRUNE = "ledger.key.rotate", "ledger.erase", "ledger.prune"


@dataclass(slots=True)
class Report:
    """What a verification found. ``entries`` were read and hashed again, of ``from_size`` to ``size`` leaves."""

    origin: str
    from_size: int
    size: int
    entries: int = 0
    checkpoints: int = 0
    waiting: int = 0
    pruned: int = 0
    erased: int = 0
    decisions: int | None = None
    sealed_at: datetime | None = None
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.count

    def add(
        self,
        kind: str,
        text: str,
        *,
        tree_size: int | None = None,
        leaf_index: int | None = None,
        entry_id: str | None = None,
    ) -> None:
        self.take([Finding(kind, text, leaf_index, entry_id, tree_size)], 1)

    def take(self, findings: Sequence[Finding], count: int) -> None:
        self.count += count
        self.findings += findings[: max(0, scanning.MOST - len(self.findings))]


@dataclass(frozen=True, slots=True)
class Rotation:
    """A sealed entry that says: ``old`` ends, ``new`` begins."""

    index: int
    old: bytes
    new: bytes
    lost: bool


def verify(installation: Installation, organization_id: UUID, *, publics: Sequence[bytes] | None = None, trusted: Iterable[str] = (),
           since: str | None = None, processes: int | None = None, told: Callable[[int, int], None] = lambda done, total: None) -> Report:  # fmt: skip
    """Read the ledger of an organization again.

    :param publics: public keys to believe, from outside; default: those the installation knows of itself.
    :param trusted: checkpoints kept elsewhere, as text.
    :param since: a checkpoint kept elsewhere: only what came after it is read again.
    :param processes: default: one per core where it pays.
    :param told: called with leaves read and in all.
    :raises InvalidInput: a given checkpoint is no checkpoint of this ledger that a known key signed.
    """
    known = list(keys.known_public(installation.settings) if publics is None else publics)
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        there, marks, rotations = trees.origin(), trees.checkpoints(), _rotations(trees)
        stored = {level: nodes for level in range(1, 8) if (nodes := trees.nodes(level, 0, 1 << 40))}
        length = trees.length()
    origin, renamed = _named(installation, organization_id, there)
    pruned_below = there[1] if there else 0
    believed = [_opened(text, origin, known, rotations) for text in trusted]
    start_at = 0
    if since is not None:
        believed.append(_opened(since, origin, known, rotations))
        start_at = believed[-1].size
    size = marks[-1].size if marks else 0
    report = Report(origin, start_at, size, checkpoints=len(marks), sealed_at=_time(marks[-1]) if marks else None)
    if renamed:
        report.add("note", "The tree's name is not that of this organization's ledger: it was edited.")
    _check_notes(report, marks, origin, known, rotations)
    _check_times(report, marks)
    usable = [c for c in believed if c.size <= size]
    for cut in (c for c in believed if c.size > size):
        report.add(
            "cut",
            f"The history ends at {size} entries, but had {cut.size} once: it was cut off, or an old copy was restored.",
            tree_size=cut.size,
        )
    start = min(start_at, size) // tree.WIDTH * tree.WIDTH
    for small in sorted({c.size for c in usable if c.size < start_at and c.size != start}):
        report.notes.append(
            f"The checkpoint of {small} entries was not held against anything: only what came after {start_at} entries was read."
            " Verify without a checkpoint to begin from, or begin from this one."
        )
    sizes = sorted({m.size for m in marks if m.size > start} | {c.size for c in usable if c.size >= start_at})
    stop = max(start, min(size, length + 1))  # one more, to say that it is missing
    work = scanning.tasks(start, stop, [s for s in sizes if s <= stop], _windows(marks, start), pruned_below)
    done = 0

    def progress(leaves: int) -> None:
        nonlocal done
        done += leaves
        told(done, stop - start)

    parts = scanning.run(installation.database, organization_id, work, processes=processes, told=progress)
    for part in parts:
        report.take(part.findings, part.count)
        report.entries += part.entries
    _check_roots(report, parts, stored, start, [m for m in marks if m.size >= start_at], usable)
    _check_rest(installation, organization_id, report, parts, pruned_below, start)
    report.findings.sort(key=lambda f: (f.leaf_index if f.leaf_index is not None else f.tree_size or 0, f.kind))
    return report


def opens(installation: Installation, organization_id: UUID, text: str) -> bool:
    """Whether :func:`verify` takes this as a checkpoint of the ledger, by the keys that the installation knows of itself."""
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        there, rotations = trees.origin(), _rotations(trees)
    origin, _ = _named(installation, organization_id, there)
    try:
        _opened(text, origin, list(keys.known_public(installation.settings)), rotations)
    except InvalidInput:
        return False
    return True


def _named(installation: Installation, organization_id: UUID, there: tuple[str, int] | None) -> tuple[str, bool]:
    """The ledger's name, and whether the tree bears one that cannot be it."""
    expected = f"{keys.host(installation.settings)}/ledger/{organization_id}"
    origin = there[0] if there else expected
    renamed = not re.fullmatch(rf"[^\s+]+/ledger/{organization_id}", origin)  # the host's name may be another one today
    return (expected if renamed else origin), renamed


def _opened(text: str, origin: str, known: list[bytes], rotations: list[Rotation]) -> note.Checkpoint:
    """A checkpoint that was kept outside."""
    publics = [*known, *(r.old for r in rotations), *(r.new for r in rotations)]
    try:
        name = note.Checkpoint.parse(note.split(text)[0]).origin
        found, signatures = note.open_checkpoint(text, [note.VerifierKey(name, p) for p in dict.fromkeys(publics)])
    except ValueError as error:
        raise InvalidInput(f"The given checkpoint cannot be trusted: {error}.", where=Where(field="checkpoint"),
                           remedy="Give a checkpoint as it was written, and the public key that signed it.") from None  # fmt: skip
    del signatures
    if found.origin != origin:
        raise InvalidInput(f"The given checkpoint is of another ledger: {found.origin}, not {origin}.", where=Where(field="checkpoint"),
                           remedy="Give a checkpoint of this organization's ledger.")  # fmt: skip
    return found


def _rotations(trees: Trees) -> list[Rotation]:
    found = []
    for index, _, text in trees.acts(ROTATE):
        try:
            said = json.loads(text or "null")
            found.append(Rotation(index, note.unb64(said["old"]), note.unb64(said["new"]), bool(said.get("lost"))))
        except (ValueError, TypeError, KeyError):
            continue  # an entry that says nothing vouches for nothing
    return found


def _check_notes(
    report: Report, marks: list[Sealed], origin: str, known: list[bytes], rotations: list[Rotation]
) -> None:
    """Each checkpoint is signed by the key of its time, and the keys hand over to each other."""
    trusted = set(known)
    candidates = {*known, *(r.old for r in rotations), *(r.new for r in rotations)}
    verifiers = [note.VerifierKey(origin, p) for p in candidates if len(p) == 32]
    opened: list[tuple[Sealed, set[bytes]]] = []
    for mark in marks:
        try:
            found, signatures = note.open_checkpoint(mark.note, verifiers)
        except ValueError as error:
            report.add("signature", f"Checkpoint {mark.size}: {error}.", tree_size=mark.size)
            continue
        if (found.origin, found.size, found.root) != (origin, mark.size, mark.root):
            report.add("note", f"Checkpoint {mark.size}: its signed note does not match its row.", tree_size=mark.size)
        opened.append((mark, {s.key.public for s in signatures}))
    covering = {r.index: next((i for i, (m, _) in enumerate(opened) if m.size > r.index), None) for r in rotations}
    for rotation in reversed(rotations):  # who is given the present key learns the former ones from what it signed
        at = covering[rotation.index]
        if at is not None and rotation.new in trusted and rotation.new in opened[at][1]:
            trusted.add(rotation.old)
    retired: dict[bytes, int] = {}
    for position, (mark, signers) in enumerate(opened):
        for rotation in (r for r in rotations if covering[r.index] == position):
            if rotation.lost:
                report.notes.append(
                    f"The key was replaced without the old one at checkpoint {mark.size}; the new key has to be known from elsewhere."
                )
            elif {rotation.old, rotation.new} <= signers and rotation.old in trusted:
                trusted.add(rotation.new)
            else:
                report.add("signature", f"Checkpoint {mark.size}: the change of keys at leaf {rotation.index} is not signed by both keys.",
                           tree_size=mark.size, leaf_index=rotation.index)  # fmt: skip
            retired[rotation.old] = mark.size
        if not signers & trusted:
            report.add("signature", f"Checkpoint {mark.size}: no key that is known signed it.", tree_size=mark.size)
        elif not any(p not in retired or mark.size <= retired[p] for p in signers & trusted):
            report.add(
                "signature",
                f"Checkpoint {mark.size}: signed only by a key that was retired before.",
                tree_size=mark.size,
            )


def _check_times(report: Report, marks: list[Sealed]) -> None:
    for mark in marks:
        if _time(mark) is None:
            report.add("clock", f"Checkpoint {mark.size} was sealed at no time: it was edited.", tree_size=mark.size)
    for before, mark in pairwise(m for m in marks if _time(m) is not None):
        if mark.sealed_at < before.sealed_at:
            report.add("clock", f"Checkpoint {mark.size} was sealed {mark.sealed_at}, before its predecessor ({before.sealed_at}): the clock was set back,"
                       " or the time was edited.", tree_size=mark.size)  # fmt: skip


def _time(mark: Sealed) -> datetime | None:
    try:
        return clock.parse(mark.sealed_at)
    except ValueError:
        return None


def _windows(marks: list[Sealed], start: int) -> list[Window]:
    windows = []
    before: Sealed | None = None
    for mark in marks:
        if mark.size > start:
            after, until = _time(before) if before else None, _time(mark)
            windows.append(
                Window(mark.size, clock.text(after - LAG) if after else "", clock.text(until + AHEAD) if until else "~")
            )
        before = mark
    return windows


def _check_roots(report: Report, parts: list[Part], stored: dict[int, list[bytes]], start: int, marks: list[Sealed],
                 trusted: list[note.Checkpoint]) -> None:  # fmt: skip
    """The root over the entries, at each checkpoint's size, against what was signed."""
    ended = next((p.ended for p in parts if p.ended is not None), None)
    first = start // tree.WIDTH
    nodes = stored.get(1, [])[:first] + [n for p in parts for n in p.nodes]
    edges = {size: edge for p in parts for size, edge in p.edges.items()}
    edges.setdefault(start, [])
    growing, taken = tree.Frontier(), 0
    roots: dict[int, bytes] = {}
    for size in sorted({m.size for m in marks} | {c.size for c in trusted}):
        if size not in edges or (ended is not None and size > ended):
            continue
        while taken < size // tree.WIDTH and taken < len(nodes):
            growing.add(nodes[taken], tree.HEIGHT)
            taken += 1
        if taken == size // tree.WIDTH:
            roots[size] = growing.root(edges[size])
    below = 0
    for mark in marks:
        if mark.size in roots and roots[mark.size] != mark.root:
            report.add("root", f"Checkpoint {mark.size}, sealed {mark.sealed_at}: its root is not that of the entries; one of leaves {below} to"
                       f" {mark.size - 1} or an earlier one was changed, inserted, removed or moved.", tree_size=mark.size)  # fmt: skip
        below = mark.size
    good = 0
    for checkpoint in sorted(trusted, key=lambda c: c.size):
        if checkpoint.size not in roots:
            continue
        if roots[checkpoint.size] == checkpoint.root:
            good = checkpoint.size
            continue
        report.add("rewritten", f"The trusted checkpoint of {checkpoint.size} entries does not fit: history before it was rewritten, between leaf {good}"
                   f" and leaf {checkpoint.size - 1}.", tree_size=checkpoint.size)  # fmt: skip
    if ended is None:
        _check_nodes(report, stored, nodes)


def _check_nodes(report: Report, stored: dict[int, list[bytes]], nodes: list[bytes]) -> None:
    """The stored nodes, out of which proofs are made."""
    level = 1
    while nodes or level in stored:
        there = stored.get(level, [])
        wrong = next((i for i, (a, b) in enumerate(zip(there, nodes)) if a != b), None)
        if wrong is None and len(there) != len(nodes):
            wrong = min(len(there), len(nodes))
        if wrong is not None:
            width = tree.WIDTH**level
            report.add("node", f"Stored node {wrong} of level {level} is not that of the leaves {wrong * width} to {(wrong + 1) * width - 1}:"
                       " it was edited.", leaf_index=wrong * width)  # fmt: skip
        nodes = [tree.root(nodes[i * tree.WIDTH : (i + 1) * tree.WIDTH]) for i in range(len(nodes) // tree.WIDTH)]
        level += 1


def _check_rest(
    installation: Installation, organization_id: UUID, report: Report, parts: list[Part], pruned_below: int, start: int
) -> None:
    """What is gone or blanked was to be; nothing stands outside of the tree. Read last, so that what goes on meanwhile is seen."""
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        erasures = trees.acts(ERASE)
        prunings = trees.acts(PRUNE)
        beyond = trees.beyond()
        entries, leaves, report.waiting = trees.counts()
        gone = sum(p.gone for p in parts) + sum(1 for p in parts for f in p.findings if f.kind == "deleted")
        whole = start == 0 and all(p.ended is None for p in parts)
        misplaced = trees.misplaced(20)
        lost, first = (
            (0, []) if whole and not misplaced and entries + gone == leaves + report.waiting else trees.neither(20)
        )
    blanked = [b for p in parts for b in p.blanked]
    allowed = _erased(erasures) if blanked else {}
    for index, key, group in blanked:
        if group not in allowed.get(key, ()):
            report.add(
                "blanked",
                f"Leaf {index}: the {group} of entry {key} was blanked without a sealed erasure.",
                leaf_index=index,
                entry_id=key,
            )
    report.erased = len({key for _, key, _ in blanked})
    report.pruned = pruned_below
    permitted = max((_number(text, "below") for _, _, text in prunings), default=0)
    if pruned_below > permitted:
        report.add("pruned", f"Entries below leaf {pruned_below} may be deleted, but sealed retention runs say so only below {permitted}.",
                   leaf_index=permitted)  # fmt: skip
    if beyond:
        report.add(
            "beyond", f"{beyond} leaves stand behind the last checkpoint: it was removed.", tree_size=report.size
        )
    for place in misplaced:
        report.add(
            "queue",
            f"Entry {place} waits to be sealed, but is sealed already or was deleted: the queue was edited.",
            entry_id=str(place),
        )
    if lost:
        listed = ", ".join(str(key) for key in first[:5])
        report.add("inserted", f"{lost} {'entry is' if lost == 1 else 'entries are'} neither sealed nor waiting: inserted past the queue, or the queue"
                   f" was emptied. The first: {listed}.", entry_id=str(first[0]) if first else None)  # fmt: skip


def _erased(erasures: list[tuple[int, UUID, str | None]]) -> dict[str, set[str]]:
    """Entry → groups that a sealed erasure names."""
    allowed: dict[str, set[str]] = {}
    for _, _, text in erasures:
        try:
            said = json.loads(text or "{}")
            for group in ("actor", "content"):
                for key in said.get(f"{group}_entries", ()):
                    allowed.setdefault(str(key), set()).add(group)
        except (ValueError, TypeError, AttributeError):
            continue
    return allowed


def _number(text: str | None, name: str) -> int:
    try:
        return int(json.loads(text or "{}").get(name, 0))
    except (ValueError, TypeError, AttributeError):
        return 0

"""Reading a tree's entries again and hashing them: the part of a verification that takes the time.

Large trees are read by child processes: tasks come in, parts go out.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from plumbline.kernel.database import Database
from plumbline.kernel.errors import Unavailable
from plumbline.kernel.ledger import entry, tree
from plumbline.kernel.ledger.repository.trees import Trees

TASK = 100 * tree.WIDTH
"""Leaves of one task."""
ALONE = 4 * TASK
"""So few leaves are read in this process: another one takes 0.5 s to start."""
_CHILD = "from plumbline.kernel.ledger.scanning import serve; serve()"
MOST = 1000
"""Findings that a part keeps; further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was recorded. ``kind`` is one word of a fixed list (docs/security-model.md)."""

    kind: str
    text: str
    leaf_index: int | None = None
    entry_id: str | None = None
    tree_size: int | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Entries of the batch that ends at ``size`` carry times from ``earliest`` to ``latest`` (text)."""

    size: int
    earliest: str
    latest: str


@dataclass(slots=True)
class Part:
    """What reading leaves ``start`` to ``stop`` gave.

    :ivar nodes: roots of the complete subtrees of 256 leaves.
    :ivar edges: size → subtrees right of the last complete one, for each size whose root is wanted.
    :ivar blanked: (leaf, entry, group) whose salt is gone.
    :ivar gone: leaves below the retention mark whose entry is not there.
    :ivar ended: the leaf at which reading had to stop, for it is not there.
    """

    start: int
    stop: int
    nodes: list[bytes] = field(default_factory=list)
    edges: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    blanked: list[tuple[int, str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    count: int = 0
    entries: int = 0
    gone: int = 0
    ended: int | None = None

    def add(self, kind: str, text: str, leaf_index: int, entry_id: str | None) -> None:
        self.count += 1
        if len(self.findings) < MOST:
            self.findings.append(Finding(kind, text, leaf_index, entry_id))


def scan(
    trees: Trees, start: int, stop: int, sizes: Sequence[int], windows: Sequence[Window], pruned_below: int
) -> Part:
    """Hash the entries of these leaves again.

    :param start: a multiple of 256.
    :param sizes: sizes in (start, stop] whose roots are wanted, ascending.
    :param windows: of the batches that reach into the range, ascending.
    :param pruned_below: entries of smaller leaves may be gone.
    """
    part = Part(start, stop)
    entry_id = "l.entry_id" if trees.sqlite else "CASE WHEN a.id IS NULL THEN l.entry_id::text END"
    statement = (
        f"SELECT l.leaf_index, l.leaf_hash, {entry_id}, {trees.columns()} FROM ledger_leaves l LEFT JOIN audit_log a ON a.id = l.entry_id"
        " WHERE l.organization_id = ? AND l.leaf_index >= ? AND l.leaf_index < ? ORDER BY l.leaf_index"
    )
    # behind row-level security another organization's rows do not exist
    unseen = "" if trees.sqlite else ", or belongs to another organization now"
    organization = trees.organization_id.bytes if trees.sqlite else str(trees.organization_id)
    block: list[bytes] = []
    edge = tree.Frontier()
    index, before = start, None
    stops = _stops(start, stop, sizes)
    halt = next(stops)
    batches = iter(windows)
    end, earliest, latest = -1, "", "~"
    sealed = entry.sealed
    with trees.stream(statement, start, stop) as rows:
        for record in rows:
            if record[0] != index:
                break
            if index >= end:
                window = next(batches, None)
                end, earliest, latest = (window.size, window.earliest, window.latest) if window else (1 << 62, "", "~")
                before = None
            stored, row = bytes(record[1]), record[3:]
            if row[0] is None:
                if index >= pruned_below:
                    key = entry.key_text(record[2])
                    part.add("deleted", f"Leaf {index}: entry {key} was deleted{unseen}.", index, key)
                else:
                    part.gone += 1
                leaf = stored
            else:
                leaf, fault = sealed(row)
                if (
                    leaf != stored
                    or fault
                    or not earliest <= row[2] <= latest
                    or row[1] != organization
                    or (before is not None and row[0] < before)
                ):
                    _judge(part, index, row, fault, leaf == stored, (earliest, latest), organization, before)
                if row[15] is None or row[21] is None:
                    key = entry.key_text(row[0])
                    part.blanked += [
                        (index, key, group)
                        for group, salt in (("actor", row[15]), ("content", row[21]))
                        if salt is None
                    ]
                part.entries += 1
                before = row[0]
            block.append(leaf)
            index += 1
            if index == halt:
                if index % tree.WIDTH == 0:
                    part.nodes.append(_closed(edge, block))
                    edge.parts.clear()
                else:
                    for leaf in block:
                        edge.add(leaf)
                block.clear()
                part.edges[index] = list(edge.parts)
                halt = next(stops)
    if index != stop:
        part.ended = index
        part.add("missing", f"Leaf {index}: it is missing, and with it every proof of what stood there.", index, None)
    return part


def _stops(start: int, stop: int, sizes: Sequence[int]) -> Iterator[int]:
    """Where the loop has to look up: each wanted size, the end of each subtree, the end."""
    wanted = {s for s in sizes if start < s <= stop} | set(range(start + tree.WIDTH, stop + 1, tree.WIDTH))
    yield from sorted(wanted)
    yield -1


def _closed(edge: tree.Frontier, block: list[bytes]) -> bytes:
    if not edge.parts:
        return tree.root(block)
    for leaf in block:
        edge.add(leaf)
    return edge.root()


def _judge(
    part: Part,
    index: int,
    row: Any,
    fault: str | None,
    same: bool,
    window: tuple[str, str],
    organization: Any,
    before: Any,
) -> None:
    """Say what is wrong with an entry, the gravest first."""
    key, at = entry.key_text(row[0]), f"Leaf {index}: entry {entry.key_text(row[0])}"
    if row[1] != organization:
        part.add("moved", f"{at} belongs to another organization now.", index, key)
    elif fault:
        part.add("changed", f"{at} was changed: {fault}.", index, key)
    elif not same:
        part.add("changed", f"{at} was changed after it was sealed, or another stands in its place.", index, key)
    if before is not None and row[0] < before:
        part.add("reordered", f"{at} stands behind a later one: the leaves were reordered.", index, key)
    if row[2] < window[0]:
        part.add(
            "back-dated",
            f"{at} is dated {row[2]}, but was sealed {window[1][:19]}: it was inserted later with an old time.",
            index,
            key,
        )
    elif row[2] > window[1]:
        part.add("post-dated", f"{at} is dated {row[2]}, after it was sealed.", index, key)


# --- in several processes

Task = tuple[int, int, list[int], list[Window], int]


def tasks(start: int, stop: int, sizes: Sequence[int], windows: Sequence[Window], pruned_below: int) -> list[Task]:
    """The range in pieces; each gets the sizes and windows that concern it."""
    made: list[Task] = []
    low = start
    wanted, batches = sorted({*sizes, stop}), list(windows)
    first_size = first_window = 0
    while low < stop:
        high = min(low + TASK, stop)
        while first_size < len(wanted) and wanted[first_size] <= low:
            first_size += 1
        last = first_size
        while last < len(wanted) and wanted[last] <= high:
            last += 1
        while first_window < len(batches) and batches[first_window].size <= low:
            first_window += 1
        until = first_window
        while until < len(batches) and batches[until].size < high:
            until += 1
        made.append((low, high, wanted[first_size:last], batches[first_window : until + 1], pruned_below))
        low = high
    return made


def run(database: Database, organization_id: UUID, work: list[Task], *, processes: int | None = None,
        told: Callable[[int], None] = lambda _: None) -> list[Part]:  # fmt: skip
    """Perform the tasks, in order; in as many processes as there are cores where it pays.

    :param told: called with the leaves of each part that is done.
    """
    count = sum(t[1] - t[0] for t in work)
    crew = min(processes or os.cpu_count() or 1, len(work))
    if crew <= 1 or (processes is None and count <= ALONE):
        parts = []
        for task in work:
            with database.read(organization_id) as session:
                parts.append(scan(Trees(session, organization_id), *task))
            told(task[1] - task[0])
        return parts
    return _crew(database, organization_id, work, crew, told)


def _crew(
    database: Database, organization_id: UUID, work: list[Task], crew: int, told: Callable[[int], None]
) -> list[Part]:
    parts: list[Part | None] = [None] * len(work)
    waiting = iter(enumerate(work))
    lock = threading.Lock()
    faults: list[BaseException] = []
    setup = (database.url.render_as_string(hide_password=False), database.role, organization_id)

    def drive() -> None:
        try:
            with subprocess.Popen(
                [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as child:
                assert child.stdin is not None
                assert child.stdout is not None
                pickle.dump(setup, child.stdin)
                while not faults:
                    with lock:
                        position, task = next(waiting, (-1, None))
                    if task is None:
                        break
                    pickle.dump(task, child.stdin)
                    child.stdin.flush()
                    parts[position] = pickle.load(child.stdout)  # noqa: S301 - our own child's
                    with lock:
                        told(task[1] - task[0])
        except BaseException as error:  # told by the caller's thread
            faults.append(error)

    threads = [threading.Thread(target=drive, daemon=True) for _ in range(crew)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        if isinstance(faults[0], EOFError | OSError | pickle.UnpicklingError):
            raise Unavailable(
                "A process that read the ledger ended early; nothing was verified.", remedy="Try again."
            ) from faults[0]
        raise faults[0]
    return [part for part in parts if part is not None]


def serve() -> None:
    """A child: the database, then tasks until the input ends."""
    url, role, organization_id = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    database = Database(url, role=role, pool_size=1)
    while True:
        try:
            task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301
        except EOFError:
            break
        with database.read(organization_id) as session:
            part = scan(Trees(session, organization_id), *task)
        pickle.dump(part, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    database.close()

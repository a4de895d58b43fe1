"""Comparing checkpoints: what is kept outside against what the ledger says now."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, NotFound, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, tree
from plumbline.kernel.ledger.repository.trees import Trees


@dataclass(frozen=True, slots=True)
class Comparison:
    """``fault``: why the second does not begin with the first; ``None``: it does, and ``path`` proves it."""

    first: str
    second: str
    sizes: tuple[int, int]
    path: tuple[bytes, ...]
    fault: str | None


def compare(
    installation: Installation, context: Context, first: int | str | None, second: int | str | None = None
) -> Comparison:
    """Two checkpoints, each by its size in this ledger or as the text that was kept; by default the first and the last.

    :raises NotFound: no checkpoint of that size. :raises InvalidInput: a text is no checkpoint of this ledger by a known key.
    """
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        trees = Trees(session, context.organization_id)
        there, head = trees.origin(), trees.head()
        if there is None or head is None:
            raise NotFound("Nothing is sealed yet.", remedy="Seal first: plumbline ledger seal.")
        publics = keys.known_public(installation.settings)
        given = (trees.checkpoints()[0].size if first is None else first, head.size if second is None else second)
        opened = sorted((_opened(trees, there[0], publics, one) for one in given), key=lambda pair: pair[1].size)
        (note1, one), (note2, two) = opened
        if two.size > head.size:
            return Comparison(
                note1,
                note2,
                (one.size, two.size),
                (),
                f"the ledger has {head.size:,} entries, but had {two.size:,} once: it was cut off",
            )
        path = tuple(trees.tree().consistency(one.size, two.size))
    fault = None
    try:
        tree.verify_consistency(one.size, two.size, one.root, two.root, path)
    except ValueError as error:
        fault = f"{error}: history was rewritten between the two"
    return Comparison(note1, note2, (one.size, two.size), path, fault)


def _opened(trees: Trees, origin: str, publics: list[bytes], one: int | str) -> tuple[str, note.Checkpoint]:
    if isinstance(one, int):
        mark = trees.checkpoint(one)
        if mark is None:
            raise NotFound(
                f"There is no checkpoint of {one:,} entries.", remedy="List them: plumbline ledger checkpoints."
            )
        return mark.note, note.Checkpoint(origin, mark.size, mark.root)
    try:
        found, _ = note.open_checkpoint(one, [note.VerifierKey(origin, p) for p in publics])
    except ValueError as error:
        raise InvalidInput(f"The given checkpoint cannot be trusted: {error}.", where=Where(field="checkpoint"),
                           remedy="Give a checkpoint of this ledger as it was written.") from None  # fmt: skip
    return one, found

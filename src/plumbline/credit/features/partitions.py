"""Applications and their linked rows in parts that know nothing of each other, as several machines would have them.

For programs that spread the work: the product's own batches run on one machine, chunk by chunk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.execution import Frame
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput, Where


class Partitions:
    """The rows of the main table spread over ``count`` parts by their id, each with the linked rows that are its own.

    A row's part is CRC-32 of its id as text, modulo ``count``: the same on every machine and in every version. Linked
    rows follow the chain of keys (a row whose parent is itself linked goes where that parent goes), and one that
    belongs to no application is in no part. Nothing but the ids is read before a part is used.

    :raises InvalidInput: the main table has no id column, a linked one no parent column, or ``count`` is below 1.
    """

    def __init__(self, tables: Mapping[str, Frame], schema: Schema, count: int) -> None:
        if count < 1:
            raise InvalidInput(f"There are no {count} partitions.", remedy="Ask for at least 1.")
        self.tables, self.schema, self.count = tables, schema, count
        main = tables[schema.main.name].lazy()
        if schema.id not in main.collect_schema():
            raise InvalidInput(
                f"The table has no column {schema.id}.", where=Where(table=schema.main.name, column=schema.id)
            )
        self.ids = main.select(schema.id).collect(engine="streaming")[schema.id]
        self.numbers = part_of(self.ids, count)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Frame]]:
        return (self[number] for number in range(self.count))

    def __getitem__(self, number: int) -> dict[str, Frame]:
        """The tables of one part: the main one in memory, the linked ones as plans over what was given."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        schema, main = self.schema, self.schema.main.name
        given = self.tables[main]
        mine = pl.Series(self.numbers == number)
        if isinstance(given, pl.DataFrame):
            frame = given.filter(mine)
        else:
            ids = self.ids.filter(mine).unique()
            frame = given.filter(pl.col(schema.id).is_in(ids.implode(), nulls_equal=True)).collect(engine="streaming")
        found: dict[str, Frame] = {main: frame}
        for name in schema.linked:
            self._follow(name, found)
        return found

    def _follow(self, name: str, found: dict[str, Frame]) -> None:
        """Add a linked table's own rows to ``found``, its parent's before it."""
        if name in found or name not in self.tables:
            return
        table = self.schema.tables[name]
        assert table.parent is not None
        assert table.parent_table is not None
        self._follow(table.parent_table, found)
        parent = found.get(table.parent_table)
        if parent is None:
            return  # without its parent it belongs to nobody
        above = self.schema.tables[table.parent_table]
        key = self.schema.id if above.name == self.schema.main.name else above.key[0]
        dtype = parent.collect_schema().get(key)
        if dtype is None:
            return
        rows = self.tables[name].lazy()
        if table.parent not in rows.collect_schema():
            raise InvalidInput(
                f"The table {name} has no column {table.parent}.", where=Where(table=name, column=table.parent)
            )
        # A file may hold its ids as numbers and another as text.
        own = pl.col(table.parent).cast(dtype, strict=False)
        found[name] = rows.join(parent.lazy().select(key), left_on=own, right_on=key, how="semi")

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """For each row of all parts put one after the other, its place in the main table."""
        return np.argsort(self.numbers, kind="stable")


def part_of(ids: pl.Series, count: int) -> npt.NDArray[np.uint32]:
    """The number of each id's part, 0 … ``count`` − 1; an empty id counts as an empty text."""
    texts = ids.cast(pl.String).fill_null("")
    return np.fromiter((zlib.crc32(text.encode()) for text in texts), dtype=np.uint32, count=len(texts)) % np.uint32(
        count
    )

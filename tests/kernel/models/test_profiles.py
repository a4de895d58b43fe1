"""Profiles: edges come from the reference alone, counts add exactly, nothing is lost on the way through JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.columns import ColumnSpec, inferred
from plumbline.kernel.models.grids import NEW_KEPT, packed, unpacked
from plumbline.kernel.models.profiles import Grid, Profile, count, reference

SPECS = (ColumnSpec("amount", specials=(-9,)), ColumnSpec("code", "category"), ColumnSpec("score", "probability"))
amounts = st.one_of(st.none(), st.just(-9.0), st.integers(-3, 3).map(float), st.floats(allow_infinity=True, width=64))
rows = st.lists(st.tuples(amounts, st.one_of(st.none(), st.sampled_from("abcdefg")), st.floats(0, 1)), max_size=60)


def table(given_rows: list[tuple[float | None, str | None, float]]) -> pa.Table:
    a, b, c = zip(*given_rows, strict=True) if given_rows else ((), (), ())
    return pa.table({"amount": pa.array(a, pa.float64()), "code": pa.array(b, pa.string()), "score": pa.array(c, pa.float64())})  # fmt: skip


def numeric(values: object, specials: tuple[float, ...] = ()) -> Profile:
    return reference({"x": np.asarray(values, dtype=np.float64)}, [ColumnSpec("x", specials=specials)])


@given(rows.filter(bool), rows, rows)
@settings(max_examples=150)
def test_the_sum_of_profiles_is_the_profile_of_the_sum(first: list, second: list, third: list) -> None:  # type: ignore[type-arg]
    base = reference(table(first), SPECS)
    apart = count(base.grid, table(second)) + count(base.grid, table(third))
    together = count(base.grid, table(second + third))
    assert apart == together
    assert apart.sha256 == together.sha256
    assert base.add(table(second)) == count(base.grid, table(first + second))
    assert Profile.empty(base.grid) + together == together


@given(rows.filter(bool), rows)
@settings(max_examples=100)
def test_json_gives_back_what_went_in(first: list, second: list) -> None:  # type: ignore[type-arg]
    base = reference(table(first), SPECS)
    again = Profile.from_dict(canonical.loads(canonical.dumps(base.to_dict(with_grid=True))))
    assert again == base
    assert again.grid.sha256 == base.grid.sha256
    batch = count(base.grid, table(second))
    assert Profile.from_dict(canonical.loads(canonical.dumps(batch.to_dict())), again.grid) == batch
    assert count(again.grid, table(second)) == batch


@given(rows.filter(bool))
def test_every_row_is_in_one_cell_of_every_column(given_rows: list) -> None:  # type: ignore[type-arg]
    base = reference(table(given_rows), SPECS)
    base.check()
    assert base.rows == len(given_rows)
    assert base.outside.tolist() == [0, 0, 0]
    assert base.missing("amount") == sum(a is None or np.isnan(a) for a, _, _ in given_rows)
    assert base.cells("amount")[-2] == sum(a == -9 for a, _, _ in given_rows)


def test_deciles_are_the_inverse_of_the_cdf_and_bins_are_closed_on_the_right() -> None:
    base = numeric(np.arange(1, 101))
    axis = base.grid.axes[0]
    assert axis.edges[axis.coarse].tolist() == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert axis.binned(base.cells("x")).tolist() == [10] * 10 + [0]
    at_an_edge = count(base.grid, {"x": np.array([10.0, np.nextafter(10, 11), 1e300, np.inf, -np.inf, np.nan])})
    assert axis.binned(at_an_edge.cells("x")).tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    assert at_an_edge.outside.tolist() == [3]


def test_twenty_distinct_values_are_each_an_edge_and_twenty_one_are_not() -> None:
    few = numeric(np.repeat(np.arange(20), 3)).grid.axes[0]
    assert few.discrete
    assert few.edges.tolist() == list(range(20))
    assert few.labels[:2] == ["0", "1"]
    many = numeric(np.repeat(np.arange(21), 3)).grid.axes[0]
    assert not many.discrete
    assert len(many.coarse) == 9


def test_a_value_of_two_deciles_leaves_the_smaller_ones_a_bin_of_their_own() -> None:
    """Trap 2: rarer values than a decile vanish beside a value that holds most of the rows."""
    values = np.concatenate((np.arange(-30, 0), np.zeros(940), np.arange(1, 31)))
    axis = numeric(values).grid.axes[0]
    assert axis.edges[axis.coarse].tolist() == [-1, 0]
    assert axis.binned(numeric(values).cells("x")).tolist() == [30, 940, 30, 0]


def test_special_values_are_bins_and_take_no_part_in_edges_or_range() -> None:
    base = numeric([-9, -9, 365243, *range(1, 101)], specials=(365243, -9))
    axis = base.grid.axes[0]
    assert (axis.low, axis.high) == (1, 100)
    assert base.cells("x")[-3:].tolist() == [2, 1, 0]
    assert axis.labels[-3:] == ["= -9", "= 365243", "missing"]
    assert count(base.grid, {"x": np.array([-9.0, 0.0, 365243.0])}).outside.tolist() == [1]


def test_rare_levels_are_other_and_unseen_ones_new_and_named_from_five_rows_on() -> None:
    base = reference({"c": ["a"] * 10 + ["b"] * 5 + ["rare"] * 4}, [ColumnSpec("c", "category")])
    assert base.grid.axes[0].levels == ("a", "b")
    assert base.cells("c").tolist() == [10, 5, 4, 0, 0]
    assert "rare" not in canonical.dumps(base.to_dict(with_grid=True)).decode().replace('"rare":', "")
    batch = count(base.grid, {"c": ["rare", "unseen", "unseen", "a", None]})
    assert batch.cells("c").tolist() == [1, 0, 1, 2, 1]
    assert batch.named("c") == {}
    assert (batch + batch + batch).named("c") == {"unseen": 6}


def test_sums_stay_exact_when_more_levels_are_new_than_are_kept() -> None:
    base = reference({"c": ["a"] * 10}, [ColumnSpec("c", "category")])
    one, two = [f"n{i}" for i in range(400)], [f"n{i}" for i in range(200, 600)]
    apart = count(base.grid, {"c": one}) + count(base.grid, {"c": two})
    assert apart == count(base.grid, {"c": one + two})
    assert len(apart.new["c"]) == NEW_KEPT
    assert apart.cells("c")[-2] == 800


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(22, 2), pa.uint16()])
def test_numbers_of_every_width_are_counted_alike(kind: pa.DataType) -> None:
    values = [1, 2, None, 3, 3, 100]
    column = pa.chunked_array([pa.array(values[:2]), pa.array(values[2:])]).cast(kind)
    base = reference({"x": column}, [ColumnSpec("x")])
    assert base.grid.axes[0].edges.tolist() == [1, 2, 3, 100]
    assert base.cells("x").tolist() == [1, 1, 2, 1, 0, 1]


@pytest.mark.parametrize("column", [
    ["u", "v", "v", None, "v", "v", "v", "u", "u", "u", "u"],
    pa.array(["u", "v", "v", None, "v", "v", "v", "u", "u", "u", "u"], pa.large_string()),
    pa.chunked_array([pa.array(["u", "v", "v", None]).dictionary_encode(), pa.array(["v", "v", "v", "u", "u", "u", "u"]).dictionary_encode()]),
])  # fmt: skip
def test_levels_are_counted_alike_however_they_are_stored(column: object) -> None:
    base = reference({"c": column}, [ColumnSpec("c", "category")])
    assert base.grid.axes[0].levels == ("u", "v")
    assert base.cells("c").tolist() == [5, 5, 0, 0, 1]


def test_codes_of_a_category_are_levels_whether_they_come_as_integers_or_as_doubles() -> None:
    base = reference({"c": np.array([1, 2] * 5)}, [ColumnSpec("c", "category")])
    assert base.grid.axes[0].levels == ("1", "2")
    assert count(base.grid, {"c": np.array([1.0, 2.0, np.nan])}).cells("c").tolist() == [1, 1, 0, 0, 1]


def test_nothing_given_is_sorted_in_place() -> None:
    mine = np.array([3.0, 1.0, 2.0])
    shared = pa.array(np.array([3.0, 1.0, 2.0]))
    for column in (mine, shared, pa.chunked_array([shared])):
        reference({"x": column}, [ColumnSpec("x")])
    assert mine.tolist() == [3, 1, 2]
    assert shared.to_pylist() == [3, 1, 2]


def test_a_parquet_file_counts_as_its_table(tmp_path: Path) -> None:
    whole = pa.table({"n": [1.5, None, 2.5, 3.5] * 9, "c": ["a", "b", None, "a"] * 9, "t": pa.array([1] * 36, pa.timestamp("s"))})  # fmt: skip
    pq.write_table(whole, tmp_path / "rows.parquet", row_group_size=7)
    specs = inferred(tmp_path / "rows.parquet")
    assert [(s.name, s.kind) for s in specs] == [("n", "numeric"), ("c", "category")]
    assert reference(tmp_path / "rows.parquet", specs) == reference(whole, specs)


@pytest.mark.parametrize(("columns", "specs", "said"), [
    ({"x": [1.0]}, [ColumnSpec("y")], "not there"),
    ({"x": ["a"]}, [ColumnSpec("x")], "not numbers"),
    ({"x": [1.0], "y": [1.0, 2.0]}, [ColumnSpec("x"), ColumnSpec("y")], "2 rows"),
    ({"x": [1.0]}, [ColumnSpec("x"), ColumnSpec("x")], "twice"),
    ({"x": [1.0]}, [], "no column"),
    ({"x": [f"person {i}" for i in range(10_001)]}, [ColumnSpec("x", "category")], "identifier"),
])  # fmt: skip
def test_what_cannot_be_profiled_is_refused_with_its_column(columns: dict, specs: list, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidInput, match=said):
        reference(columns, specs)


def test_profiles_of_different_references_do_not_add_and_a_changed_one_is_not_read() -> None:
    one, other = numeric([1.0, 2.0, 3.0]), numeric([1.0, 2.0, 4.0])
    with pytest.raises(InvalidInput, match="different grids"):
        _ = one + other
    with pytest.raises(InvalidInput, match="counted on grid"):
        Profile.from_dict(one.to_dict(), other.grid)
    with pytest.raises(InvalidInput, match="add up"):
        Profile.from_dict({**one.to_dict(), "rows": 4}, one.grid)
    with pytest.raises(InvalidInput, match="does not hold"):
        Profile.from_dict(one.to_dict())
    body = one.grid.to_dict()
    body["columns"][0]["edges"].reverse()
    with pytest.raises(InvalidInput, match="ascend"):
        Grid.from_dict(body)


@given(st.lists(st.integers(0, 2**62)))
def test_packed_numbers_come_back(numbers: list[int]) -> None:
    assert unpacked(packed(np.array(numbers, dtype=np.int64))).tolist() == numbers


def test_fifty_columns_of_a_million_rows_fit_thirty_kilobytes() -> None:
    """Counts as large as those of a million rows, on grids as fine as they get for the usual mix of columns."""
    random = np.random.default_rng(7)
    columns: dict[str, object] = {f"n{i}": random.normal(size=4_000) for i in range(21)}
    columns |= {f"k{i}": random.poisson(5, 4_000).astype(float) for i in range(14)}
    columns |= {f"c{i}": random.integers(0, 2 + 3 * i, 4_000) for i in range(15)}
    specs = [ColumnSpec(name, "category" if name[0] == "c" else "numeric") for name in columns]
    base = reference(columns, specs)
    large = Profile(base.grid, base.rows * 250, base.counts * 250, base.outside, base.low, base.high, {})
    assert len(canonical.dumps(large.to_dict())) <= 30_000

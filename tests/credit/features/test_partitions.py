"""The same declarations in memory, streamed, and in parts: the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit import synthetic
from plumbline.credit.features.matrix import Matrix
from plumbline.credit.features.partitions import Partitions, part_of
from plumbline.credit.features.scanning import scanned
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput
from tests.credit.features.test_transformer import SHOP, bits, shops

HOME_CREDIT = Schema.load("home_credit")


def lazily(tables):
    return {name: frame.lazy() for name, frame in tables.items()}


def in_parts(transformer, tables, count):
    """All parts, each row back where it stood."""
    parts = Matrix.concatenated(list(transformer.transform_partitions(tables, count)))
    return parts.gathered(np.argsort(Partitions(tables, transformer.schema, count).rows))


def assert_same(found, whole):
    assert found.ids.to_list() == whole.ids.to_list()
    assert (bits(found) == bits(whole)).all()
    assert found.flags == whole.flags
    assert found.names == whole.names


@settings(max_examples=40, deadline=None)
@given(tables=shops(), count=st.integers(1, 9), rows=st.integers(1, 7), seed=st.integers(0, 2**16))
def test_streamed_and_in_any_number_of_parts_the_bits_are_those_of_the_whole(tables, count, rows, seed):
    transformer = Transformer.fit(tables, SHOP, exclude_protected=False)
    whole = transformer.transform(tables)
    shuffled = {n: f if n == "orders" else f.sample(fraction=1, shuffle=True, seed=seed) for n, f in tables.items()}
    assert_same(transformer.transform(lazily(tables)), whole)
    side = {**lazily(shuffled), "orders": tables["orders"]}
    assert_same(transformer.transform(side), whole)
    assert_same(Matrix.concatenated(list(transformer.transform_lazy(lazily(shuffled), rows))), whole)
    assert_same(in_parts(transformer, shuffled, count), whole)
    assert_same(in_parts(transformer, lazily(shuffled), count), whole)


@pytest.fixture(scope="module")
def portfolio():
    return synthetic.generate(1_200, 5)


@pytest.fixture(scope="module")
def fitted(portfolio):
    return Transformer.fit(portfolio.tables, HOME_CREDIT)


@pytest.fixture(scope="module")
def whole(portfolio, fitted):
    return fitted.transform(portfolio.tables)


@pytest.fixture(scope="module", params=["parquet", "csv"])
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    synthetic.write_stream(folder, 1_200, 5, format=request.param)
    return {name: folder / f"{name}.{request.param}" for name in HOME_CREDIT.tables}


def orphans(tables):
    """Rows of each linked table whose parent is not there."""
    found = {}
    for name, table in HOME_CREDIT.linked.items():
        above = HOME_CREDIT.tables[table.parent_table]
        key = HOME_CREDIT.id if above is HOME_CREDIT.main else above.key[0]
        found[name] = tables[name].join(tables[above.name], left_on=table.parent, right_on=key, how="anti").height
    return found


def test_seven_tables_in_files_give_the_bits_of_the_tables_in_memory(files, fitted, whole):
    tables = scanned(files, HOME_CREDIT)
    assert all(isinstance(table, pl.LazyFrame) for table in tables.values())
    assert_same(fitted.transform(tables), whole)
    parts = list(fitted.transform_lazy(tables, 500))
    assert len(parts) > 1
    assert_same(Matrix.concatenated(parts), whole)
    for count in (1, 3, 8):
        assert_same(in_parts(fitted, tables, count), whole)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(2, 12), lost=st.floats(0, 0.4))
def test_rows_that_belong_to_nobody_are_in_no_part_and_change_nothing(fitted, seed, count, lost):
    tables = dict(synthetic.generate(150, seed, months=3).tables)
    tables["application"] = tables["application"].sample(fraction=1 - lost, seed=seed)
    tables["bureau"] = tables["bureau"].sample(fraction=1 - lost, seed=seed)
    lonely = orphans(tables)
    if lost > 0.1:
        assert min(lonely.values()) > 0
    assert_same(in_parts(fitted, tables, count), fitted.transform(tables))
    parts = [{n: f.lazy().collect() for n, f in part.items()} for part in Partitions(tables, HOME_CREDIT, count)]
    for name in HOME_CREDIT.tables:
        kept = sum(part[name].height for part in parts)
        if name == "bureau_balance":  # a loan may be there whose own applicant is not
            assert kept <= tables[name].height - lonely[name]
        else:
            assert kept == tables[name].height - lonely.get(name, 0)
    clients = [set(part["application"]["SK_ID_CURR"].to_list()) for part in parts]
    for own, part in zip(clients, parts, strict=True):
        assert set(part["installments_payments"]["SK_ID_CURR"].to_list()) <= own
        assert set(part["bureau_balance"]["SK_ID_BUREAU"].to_list()) <= set(part["bureau"]["SK_ID_BUREAU"].to_list())


def test_one_part_alone_is_what_any_machine_would_make_of_it(portfolio, fitted, whole):
    parts = Partitions(portfolio.tables, HOME_CREDIT, 5)
    assert len(parts) == 5
    third = fitted.transform(parts[3])
    rows = np.flatnonzero(parts.numbers == 3)
    assert_same(third, whole.gathered(rows))
    with pytest.raises(IndexError):
        parts[5]


def test_the_part_of_an_id_is_the_same_everywhere():
    # The check value of CRC-32 is that of "123456789", 0xCBF43926; an empty text has 0.
    assert part_of(pl.Series([123456789, None]), 1_000_003).tolist() == [0xCBF43926 % 1_000_003, 0]
    numbers = part_of(pl.Series(range(100_000, 140_000)), 16)
    assert part_of(pl.Series([str(i) for i in range(100_000, 140_000)]), 16).tolist() == numbers.tolist()
    shares = np.bincount(numbers, minlength=16) / 40_000
    assert np.abs(shares - 1 / 16).max() < 0.01


@pytest.fixture
def shop():
    return {
        "orders": pl.DataFrame({"id": [7, None, 7, 3, 1, None], "age": [20, 30, 40, 50, 60, 70], "income": [1.0] * 6}),
        "loans": pl.DataFrame({"loan": [1, 2, 3], "id": ["7", "3", "99"], "amount": [0.1, 0.2, 0.3]}),
        "months": pl.DataFrame({"loan": ["1", "1", "2", "3", "8"], "month": [-1] * 5, "late": [0, 3, 1, 9, 9]}),
    }


def test_repeated_and_empty_ids_and_ids_of_two_types_keep_their_rows(shop):
    transformer = Transformer.fit(shop, SHOP)
    whole = transformer.transform(shop)
    assert (whole.values[:, whole.names.index("WORST")] == 3).tolist() == [True, False, True, False, False, False]
    for count in (1, 2, 5):
        assert_same(in_parts(transformer, shop, count), whole)
        assert_same(in_parts(transformer, lazily(shop), count), whole)


@pytest.mark.parametrize("absent", [("loans",), ("months",), ("loans", "months")])
def test_a_table_that_is_absent_is_no_history_in_every_part(shop, absent):
    transformer = Transformer.fit(shop, SHOP)
    tables = {name: frame for name, frame in shop.items() if name not in absent}
    whole = transformer.transform(tables)
    assert_same(in_parts(transformer, tables, 3), whole)
    assert_same(Matrix.concatenated(list(transformer.transform_lazy(lazily(tables), 2))), whole)


def test_a_main_table_without_rows_gives_one_part_without_rows(shop):
    transformer = Transformer.fit(shop, SHOP)
    tables = {**shop, "orders": shop["orders"].clear()}
    (part,) = transformer.transform_lazy(lazily(tables))
    assert part.values.shape == (0, len(transformer.features))
    assert [len(p.values) for p in transformer.transform_partitions(tables, 2)] == [0, 0]


def test_what_cannot_be_split_or_streamed_says_why(shop):
    transformer = Transformer.fit(shop, SHOP)
    for ways in (lambda t: transformer.transform_lazy(t), lambda t: transformer.transform_partitions(t, 2)):
        with pytest.raises(InvalidInput, match="table orders is missing"):
            list(ways({"loans": shop["loans"]}))
        with pytest.raises(InvalidInput, match="loans has no column id"):
            list(ways({**shop, "loans": shop["loans"].drop("id")}))
        with pytest.raises(InvalidInput, match="no column id"):
            list(ways({**lazily(shop), "orders": shop["orders"].drop("id").lazy()}))
    with pytest.raises(InvalidInput, match="no 0 partitions"):
        list(transformer.transform_partitions(shop, 0))


def test_files_are_typed_as_the_intake_types_them(tmp_path):
    (tmp_path / "orders.csv").write_text(
        "id,age,income,debt,days,job,more\n1, 20 ,1.5,NaN,365243,XNA,x\n2,2x,,inf,NA,,y\n"
    )
    frame = scanned({"orders": tmp_path / "orders.csv"}, SHOP)["orders"].collect()
    assert frame.to_dicts() == [
        {"id": 1, "age": 20, "income": 1.5, "debt": None, "days": 365243, "job": "XNA"},
        {"id": 2, "age": None, "income": None, "debt": None, "days": None, "job": None},
    ]
    assert (
        scanned({"orders": tmp_path / "orders.csv"}, SHOP, text_ids=True)["orders"].collect()["id"].dtype == pl.String
    )


def test_files_that_cannot_be_scanned_say_why(tmp_path):
    (tmp_path / "orders.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "orders.xlsx").write_bytes(b"PK")
    for name, file, text in (
        ("orders", "orders.parquet", "cannot be read"),
        ("orders", "orders.xlsx", "Only Parquet and CSV"),
        ("orders", "absent.csv", "no such file"),
        ("parcels", "orders.parquet", "declares no table parcels"),
    ):
        with pytest.raises(InvalidInput, match=text) as caught:
            scanned({name: tmp_path / file}, SHOP)
        assert caught.value.where.file == file


PEAK = dedent("""
    import hashlib, json, sys
    from pathlib import Path

    import numpy as np
    from plumbline.credit.features.scanning import scanned
    from plumbline.credit.features.transformer import Transformer

    folder, way = Path(sys.argv[1]), sys.argv[2]
    transformer = Transformer.from_dict(json.loads((folder / "transformer.json").read_text()))
    tables = scanned({n: folder / f"{n}.parquet" for n in transformer.schema.tables}, transformer.schema)
    if way == "memory":
        parts = [transformer.transform({name: lazy.collect() for name, lazy in tables.items()})]
    elif way == "streamed":
        parts = transformer.transform_lazy(tables, 8_192)
    else:
        parts = transformer.transform_partitions(tables, 8)
    rows = {}
    for part in parts:
        values = np.ascontiguousarray(part.values)
        rows.update((key, hashlib.sha256(row.tobytes()).digest()) for key, row in zip(part.ids.to_list(), values))
        del part, values
    total = hashlib.sha256(b"".join(rows[key] for key in sorted(rows))).hexdigest()
    status = Path("/proc/self/status")  # ru_maxrss of Linux counts what the parent held when it forked, too
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peak = int(line.split()[1]) * 1024
    else:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"rows": len(rows), "sha256": total, "peak": peak}))
""")


@pytest.mark.slow
def test_streamed_and_in_parts_a_portfolio_needs_much_less_memory_than_held_whole(tmp_path, fitted):
    synthetic.write_stream(tmp_path, 40_000, 7, format="parquet")
    (tmp_path / "transformer.json").write_text(json.dumps(fitted.to_dict()))
    told = {}
    for way in ("memory", "streamed", "parts"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(tmp_path), way], capture_output=True, text=True, check=True, timeout=300
        )
        told[way] = json.loads(done.stdout)
    assert {answer["rows"] for answer in told.values()} == {40_000}
    assert len({answer["sha256"] for answer in told.values()}) == 1
    most = told["memory"]["peak"]
    assert told["streamed"]["peak"] < 0.6 * most, told
    assert told["parts"]["peak"] < 0.65 * most, told

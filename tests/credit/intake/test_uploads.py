from __future__ import annotations

import gzip
import stat
import zipfile

import polars as pl
import pyarrow as pa
import pytest

from plumbline.credit.intake.limits import Limits
from plumbline.credit.intake.readers import open_upload
from plumbline.kernel.errors import InvalidInput, TooLarge

from .shop import HEADER, ROW

ORDERS = "\n".join([HEADER, *(ROW.format(id=i) for i in (1, 2, 3))])
LOANS = "loan,id,amount\n10,1,5.5\n11,1,7\n12,99,1\nx,2,1\n13,2,oops\n"
MONTHS = "loan,month,state\n10,-1,0\n11,-1,C\n77,-1,0\n"


@pytest.fixture
def archive(tmp_path):
    def archive(members: dict[str, str | bytes], name="upload.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for member, content in members.items():
                file.writestr(member, content)
        return path

    return archive


def refused(path, schema, kind=InvalidInput, **more):
    with pytest.raises(kind) as caught:
        open_upload(path, schema, scoring=True, **more)
    assert caught.value.where.file is not None
    assert caught.value.remedy
    return caught.value


def test_a_zip_of_linked_tables_is_read_and_orphans_are_counted(archive, schema):
    path = archive({"data/Orders_train.csv": ORDERS, "loans.csv": LOANS, "months.csv": MONTHS, "README.txt": "hello"})
    with open_upload(path, schema, scoring=True) as upload:
        assert upload.rows == 3
        assert upload.linked["loans"].rows() == [(10, 1, 5.5), (11, 1, 7.0), (12, 99, 1.0), (13, 2, None)]
        assert upload.linked["months"].height == 3
        text = "\n".join(upload.warnings)
        assert "loans: 1 rows belong to no row of orders." in text
        assert "months: 1 rows belong to no row of loans." in text
        assert "README.txt" in text
        assert "loans.amount: This is not an amount. It counts as empty (1)" in text
        rejects = upload.linked_rejects.select("line", "table", "column", "value", "rule").rows()
        assert rejects == [(5, "loans", "loan", "x", "type")]
        assert sum(c.frame.height for c in upload.chunks()) == 3


def test_a_directory_of_files_of_any_kind_is_read(schema, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "loans.csv.gz").write_bytes(gzip.compress(LOANS.encode()))
    pl.read_csv(MONTHS.encode()).write_parquet(folder / "months.parquet")
    with open_upload(folder, schema, scoring=True) as upload:
        assert (upload.linked["loans"].height, upload.linked["months"].height) == (4, 3)
        assert upload.linked["months"]["state"].to_list() == ["0", "C", "0"]


def test_a_side_table_that_is_not_there_means_no_history_and_is_said(archive, schema):
    with open_upload(archive({"orders.csv": ORDERS, "loans.csv": LOANS}), schema, scoring=True) as upload:
        assert "No file for months: the rows have no history there." in upload.warnings
        assert list(upload.linked) == ["loans"]


def test_the_main_table_must_be_there(archive, schema):
    error = refused(archive({"loans.csv": LOANS}), schema)
    assert "main table orders is missing" in error.detail
    assert error.where.table == "orders"


def test_two_files_for_one_table_are_refused(archive, schema):
    assert "Two files" in refused(archive({"orders.csv": ORDERS, "orders_train.csv": ORDERS}), schema).detail


@pytest.mark.parametrize(
    "name", ["../orders.csv", "/tmp/orders.csv", "C:\\orders.csv", "a/../../orders.csv", "..\\orders.csv"]
)
def test_a_path_that_leads_out_of_a_zip_is_refused(archive, schema, name, tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    error = refused(archive({name: ORDERS}), schema, folder=box)
    assert "absolute path" in error.detail or "leads out" in error.detail
    assert list(box.iterdir()) == []
    assert not (tmp_path.parent / "orders.csv").exists()


def test_a_link_in_a_zip_is_refused(tmp_path, schema):
    path = tmp_path / "upload.zip"
    with zipfile.ZipFile(path, "w") as file:
        member = zipfile.ZipInfo("orders.csv")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(member, "/etc/passwd")
    assert "is a link" in refused(path, schema).detail


def test_a_zip_bomb_is_stopped_by_what_comes_out_not_by_what_it_claims(archive, schema, tmp_path):
    path = archive({"orders.csv": ORDERS, "loans.csv": b"0" * 40_000_000})
    honest = path.read_bytes()
    # The sizes in the directory of the archive can say anything.
    size = (40_000_000).to_bytes(4, "little")
    path.write_bytes(honest.replace(size, (1000).to_bytes(4, "little")))
    for content in (honest, path.read_bytes()):
        path.write_bytes(content)
        box = tmp_path / "box"
        box.mkdir(exist_ok=True)
        with pytest.raises((TooLarge, InvalidInput)):
            open_upload(path, schema, scoring=True, limits=Limits(max_unpacked_bytes=10_000_000), folder=box)
        assert list(box.iterdir()) == []
    path.write_bytes(honest)
    assert "200 times" in refused(path, schema, TooLarge).detail
    assert (
        "more than 10,000,000 bytes"
        in refused(path, schema, TooLarge, limits=Limits(max_unpacked_bytes=10_000_000)).detail
    )


def test_a_gzip_bomb_is_stopped_too(tmp_path, schema):
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 30_000_000))
    assert refused(path, schema, TooLarge).where.file == "orders.csv.gz"


def test_a_file_over_the_limit_is_refused(write, schema):
    error = refused(write(ORDERS), schema, TooLarge, limits=Limits(max_bytes=100))
    assert "the limit is 100" in error.detail


def test_too_many_members_are_refused(archive, schema):
    path = archive({"orders.csv": ORDERS, **{f"{i}.txt": "" for i in range(70)}})
    assert "71 members" in refused(path, schema, TooLarge).detail


@pytest.mark.parametrize("suffix", ["gz", "zst", "zip"])
def test_damaged_packed_files_are_refused(tmp_path, schema, suffix):
    path = tmp_path / f"orders.csv.{suffix}"
    content = (ORDERS * 500).encode()
    if suffix == "gz":
        path.write_bytes(gzip.compress(content))
    elif suffix == "zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("orders.csv", content)
    path.write_bytes(path.read_bytes()[:-30])
    assert "damaged" in refused(path, schema).detail


def test_a_workbook_is_refused_with_advice(archive, schema):
    path = archive({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}, name="orders.xlsx")
    assert "Save it as CSV" in refused(path, schema).remedy


def test_unpacked_files_are_removed_when_the_upload_is_closed(archive, schema, tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    upload = open_upload(archive({"orders.csv": ORDERS, "loans.csv": LOANS}), schema, scoring=True, folder=box)
    assert len(list(box.rglob("*"))) > 1
    upload.close()
    assert list(box.iterdir()) == []

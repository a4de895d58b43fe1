from __future__ import annotations

import hashlib
import io
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, PlumblineError, TooLarge
from plumbline.kernel.models.artifacts import ArtifactStore, array_from_bytes, array_to_bytes, pack, unpack

names = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.(json|txt|npy)", fullmatch=True)
contents = st.dictionaries(names, st.binary(max_size=200).filter(lambda b: not b.startswith(b"\x80")), max_size=8)


@given(contents, st.randoms())
def test_equal_members_give_equal_bytes_whatever_their_order(members: dict[str, bytes], random: object) -> None:
    shuffled = list(members.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pack(dict(shuffled)) == pack(members)
    assert unpack(pack(members)) == members


def test_packing_has_a_known_hash() -> None:
    data = pack({"manifest.json": b"{}", "a/b.txt": b"text"})
    assert hashlib.sha256(data).hexdigest() == KNOWN
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_type == zipfile.ZIP_STORED
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644


KNOWN = "9901a2ff98fae7f58ba83f0601088cdc81780fe96e4b1ae8c7f98374df7c35c2"


@pytest.mark.parametrize(
    "name",
    ["model.pkl", "model.pickle", "model.joblib", "model.skops", "m.dill", "m.pt", "run.py", "noext", "../a.json",
     "/etc/a.json", "a/../b.json", "a\\b.json", "c:a.json", "./a.json", "a//b.json", ""],
)  # fmt: skip
def test_names_that_hold_code_or_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        pack({name: b"x"})
    with pytest.raises(PlumblineError):
        unpack(raw_zip([(name, b"x")]))


def raw_zip(members: list[tuple[str, bytes]], mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_names_and_links_are_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        unpack(raw_zip([("a.json", b"1"), ("a.json", b"2")]))
    with pytest.raises(InvalidInput, match="links"):
        unpack(raw_zip([("a.json", b"/etc/passwd")], stat.S_IFLNK | 0o777))


def test_a_pickle_under_an_innocent_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="pickle"):
        pack({"a.txt": pickle.dumps([1])})
    with pytest.raises(InvalidInput, match="pickle"):
        unpack(raw_zip([("a.txt", pickle.dumps([1]))]))


def test_too_many_members_are_refused() -> None:
    with pytest.raises(TooLarge):
        pack({f"{i}.txt": b"" for i in range(1001)})
    with pytest.raises(TooLarge):
        unpack(raw_zip([(f"{i}.txt", b"") for i in range(1001)]))


def test_a_bomb_is_refused_by_its_directory_before_it_is_unpacked() -> None:
    data = bytearray(raw_zip([("a.txt", b"x")]))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (600 * 1024 * 1024).to_bytes(4, "little")
    with pytest.raises(TooLarge):
        unpack(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_give_members_or_one_of_our_errors(data: bytes) -> None:
    for candidate in (data, b"PK\x05\x06" + data):
        try:
            unpack(candidate)
        except PlumblineError:
            continue


@settings(max_examples=200)
@given(st.data())
def test_a_flipped_byte_is_found_by_the_store(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = ArtifactStore(str(tmp_path_factory.mktemp("store")))
    sha256 = store.put(PACKED)
    path = Path(store._root) / store.path(sha256)
    damaged = bytearray(PACKED)
    damaged[data.draw(st.integers(0, len(PACKED) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    with pytest.raises(Corrupt) as caught:
        store.get(sha256)
    assert "backup" in str(caught.value)
    assert store.put(PACKED) == sha256
    assert store.get(sha256) == PACKED


PACKED = pack({"manifest.json": b'{"kind": "credit"}', "a.npy": array_to_bytes(np.arange(3.0))})


def test_stored_files_lie_under_their_hash_and_leave_nothing_else(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path))
    sha256 = store.put(PACKED)
    assert sha256 == hashlib.sha256(PACKED).hexdigest()
    assert store.put(PACKED) == sha256
    files = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert files == [f"sha256/{sha256[:2]}/{sha256}.zip"]
    assert store.has(sha256)
    assert store.hashes() == [sha256]
    store.delete(sha256)
    store.delete(sha256)
    assert store.hashes() == []
    with pytest.raises(NotFound):
        store.get(sha256)


def test_a_store_in_memory_works_alike() -> None:
    store = ArtifactStore("memory://artifacts-test")
    sha256 = store.put(PACKED)
    assert store.get(sha256) == PACKED
    assert store.hashes() == [sha256]
    store.delete(sha256)
    assert not store.has(sha256)


@pytest.mark.parametrize("wrong", ["", "abc", "../" * 22, "G" * 64])
def test_only_a_hash_addresses_a_file(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InvalidInput):
        ArtifactStore(str(tmp_path)).get(wrong)


def test_arrays_come_back_and_objects_do_not() -> None:
    array = np.array([[1.5, np.nan], [np.inf, -0.0]])
    assert array_from_bytes(array_to_bytes(array)).tobytes() == array.tobytes()
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Corrupt):
        array_from_bytes(buffer.getvalue())
    with pytest.raises(Corrupt):
        array_from_bytes(b"not an array")

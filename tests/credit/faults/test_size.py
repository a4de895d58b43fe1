"""A request that does not say its size is measured while it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import SteppingClock
from tests.credit.faults.test_files import leftovers, program
from tests.credit.trained import Lender, artifacts


def test_a_file_that_does_not_say_its_size_is_413_once_it_is_over_the_limit(
    embedded: Lender, tmp_path: Path, clock: SteppingClock
) -> None:
    settings = Settings(
        home=tmp_path, database_url=embedded.installation.settings.url, artifacts=artifacts(), max_upload_bytes=50_000
    )
    small = replace(embedded, installation=Installation.open(settings, clock=clock))

    def pieces() -> Iterator[bytes]:
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="loans.csv"\r\n\r\n'
        for _ in range(40):
            yield b"0" * 50_000
        yield b"\r\n--edge--\r\n"

    try:
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        answer = program(small)("POST", "/api/v1/credit/batches", content=pieces(), headers=headers)
        assert answer.status_code == 413
        assert answer.json()["code"] == "too-large"
        assert small.count("batch_uploads") == 0
        assert leftovers(small) == []
    finally:
        small.installation.close()

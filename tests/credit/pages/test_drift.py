"""A file's page says how its applications differ from those of training."""

from __future__ import annotations

from tests.credit.pages.desk import Desk, csv
from tests.credit.service.files import applications, written


def test_a_files_page_draws_its_drift_and_leads_to_the_report(desk: Desk) -> None:
    view = desk.scored(csv(100))  # without history: far from training
    page = desk.browser("viewer").get(f"/credit/batches/{view.batch.id}")
    assert page.status_code == 200
    key = view.batch.extra["drift"]["report_id"]
    assert f'href="/models/{view.model.id}/drift/{key}"' in page.text
    assert "Major drift" in page.text
    assert "in each tenth of the training rows" in page.text
    for path in (desk.lender.installation.files / "reports").rglob("*.json"):
        path.unlink()
    without = desk.browser("viewer").get(f"/credit/batches/{view.batch.id}")
    assert without.status_code == 200
    assert "in each tenth of the training rows" not in without.text


def test_a_version_without_a_reference_says_so_on_the_page(desk: Desk) -> None:
    path = written(applications(), desk.folder / "a.csv")
    view = desk.other.batch(path)
    page = desk.browser("viewer", "contoso").get(f"/credit/batches/{view.batch.id}")
    assert page.status_code == 200
    assert "no reference" in page.text

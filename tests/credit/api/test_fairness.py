"""How groups fare, through a real server."""

from __future__ import annotations

import httpx

from plumbline.app import create_app
from tests.browser_support import serve
from tests.credit.trained import Lender


def test_a_program_reads_how_groups_fare(embedded: Lender, sqlite_lenders: dict[str, Lender]) -> None:
    other = sqlite_lenders["contoso"]
    with (
        serve(create_app(embedded.installation)) as address,
        httpx.Client(base_url=f"{address}/api/v1/credit", trust_env=False) as client,
    ):

        def ask(path: str, key: str | None) -> httpx.Response:
            return client.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})

        key = embedded.keys["analyst"]
        found = ask(f"/models/{embedded.model_id}/fairness", key).json()
        assert found["measured"] is True
        assert found["model"]["sha256"] == embedded.sha256
        assert found["report"]["verdict"] in ("fails", "passes", "undetermined")
        assert found["report"]["outside"]["holds"] is True
        assert all(g["ratio"]["low"] <= g["ratio"]["value"] <= g["ratio"]["high"] for g in found["report"]["groups"])
        assert found["alternatives"] is None
        named = ask(f"/models/{found['model']['name']}@{found['model']['version']}/fairness", key).json()
        assert named == found
        unknown = ask(f"/models/{other.model_id}/fairness", other.keys["analyst"]).json()
        assert (unknown["measured"], unknown["report"]) == (False, None)
        assert unknown["reason"]
        assert ask(f"/models/{other.model_id}/fairness", key).status_code == 404
        assert ask(f"/models/{embedded.model_id}/fairness", None).status_code == 401


def test_a_program_reads_the_scorecard(embedded: Lender) -> None:
    key = {"Authorization": f"Bearer {embedded.keys['analyst']}"}
    with (
        serve(create_app(embedded.installation)) as address,
        httpx.Client(base_url=f"{address}/api/v1/credit/models", trust_env=False, headers=key) as client,
    ):
        card = client.get(f"/{embedded.model_id}/scorecard").json()
        assert card["model"]["sha256"] == embedded.sha256
        assert card["decides"] is False
        assert {g["dataset"] for g in card["gaps"]} >= {"cross_validation"}
        one = client.get(f"/{embedded.model_id}/scorecard", params={"feature": "EXT_SOURCE_2"}).json()
        assert one["bins"] == [b for b in card["bins"] if b["feature"] == "EXT_SOURCE_2"] != []
        assert client.get(f"/{embedded.model_id}/scorecard", params={"feature": "SHOE_SIZE"}).status_code == 404

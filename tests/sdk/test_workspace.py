"""The product in a program: frames of each kind go in, recorded decisions come out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline import Workspace
from plumbline.credit import synthetic
from plumbline.kernel.errors import Forbidden, InvalidInput, NotFound
from plumbline.kernel.models import service as models
from plumbline.kernel.paging import PageRequest
from tests.credit.trained import Lender, payload, unlabelled

KINDS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "arrow": lambda frame: frame.to_arrow(),
    "pandas": lambda frame: frame.to_pandas(),
}


@pytest.fixture
def opened(embedded: Lender, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workspace]]:
    """Opens a workspace on the lender's installation."""
    settings = embedded.installation.settings
    monkeypatch.setenv("PLUMBLINE_ARTIFACTS", settings.artifacts or "")
    made: list[Workspace] = []

    def open_(**options: Any) -> Workspace:
        given = {"organization": "northwind", "clock": embedded.installation.clock} | options
        made.append(Workspace(settings.home, **given))
        return made[-1]

    yield open_
    for workspace in made:
        workspace.close()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_each_kind_score_alike(opened: Callable[..., Workspace], kind: str) -> None:
    workspace = opened()
    tables = unlabelled()
    expected = workspace.credit.score(tables)
    found = workspace.credit.score({name: KINDS[kind](frame) for name, frame in tables.items()})
    assert found.equals(expected)
    assert found.height == tables["application"].height


def test_a_single_frame_is_the_main_table(opened: Callable[..., Workspace]) -> None:
    main = unlabelled()["application"]
    workspace = opened()
    assert workspace.credit.score(main).equals(workspace.credit.score({"application": main}))


def test_scoring_for_analysis_records_nothing_and_deciding_does(
    opened: Callable[..., Workspace], embedded: Lender
) -> None:
    workspace = opened()
    scored = workspace.credit.score(unlabelled())
    assert embedded.entries("credit.score") == []
    answer = workspace.credit.decide(payload(0))
    (entry,) = embedded.entries("credit.score")
    assert entry.resource_id == answer.id
    assert (
        answer.probability == scored.filter(pl.col("id") == payload(0)["application"]["SK_ID_CURR"])["probability"][0]
    )
    why = workspace.credit.explain(str(answer.id))
    assert why["groups"][answer.reasons[0]["code"]] == pytest.approx(answer.reasons[0]["contribution"])
    assert workspace.credit.replay(answer.id).equal


def test_a_program_acts_as_itself_or_as_a_person(opened: Callable[..., Workspace], embedded: Lender) -> None:
    opened().credit.decide(payload(0))
    opened(user="northwind-analyst").credit.decide(payload(1))
    program, person = embedded.entries("credit.score")
    assert (program.actor_type, program.actor_id) == ("system", "sdk")
    assert (person.actor_type, person.actor_id) == ("user", str(embedded.people["analyst"]))
    viewer = opened(user="northwind-viewer").credit
    with pytest.raises(Forbidden):
        viewer.decide(payload(2))
    with pytest.raises(Forbidden):
        viewer.score(unlabelled())


@pytest.mark.parametrize("kind", ["arrow", pytest.param("pandas", marks=pytest.mark.slow)])
def test_a_model_is_trained_from_frames(opened: Callable[..., Workspace], kind: str) -> None:
    workspace = opened()
    tables = synthetic.generate(700, 5).tables
    model = workspace.credit.train({name: KINDS[kind](frame) for name, frame in tables.items()}, seed=5)
    assert (model.name, model.version, model.is_active) == ("credit-risk", "2", False)
    first = workspace.credit.score(unlabelled(), model="credit-risk@2")
    assert not first["probability"].equals(workspace.credit.score(unlabelled())["probability"])


@pytest.mark.slow
def test_files_and_frames_train_the_same_model(opened: Callable[..., Workspace], tmp_path: Path) -> None:
    synthetic.write_stream(tmp_path / "p", 700, 5)
    workspace = opened()
    from_files = workspace.credit.train(tmp_path / "p", seed=5)
    from_frames = workspace.credit.train(synthetic.generate(700, 5).tables, seed=5)
    assert from_files.metrics == from_frames.metrics
    found = models.list_models(workspace.installation, workspace.context(), PageRequest.parse(10, None)).items
    assert [m.version for m in found] == ["3", "2", "1"]


def test_a_row_that_is_rejected_is_told_and_nothing_is_scored(opened: Callable[..., Workspace]) -> None:
    main = unlabelled()["application"].with_columns(pl.lit(9000).alias("DAYS_BIRTH"))
    with pytest.raises(InvalidInput, match=r"120 rows are rejected; the first: row \d+, DAYS_BIRTH"):
        opened().credit.score(main)


def test_what_is_no_table_is_told(opened: Callable[..., Workspace]) -> None:
    with pytest.raises(InvalidInput, match="A list is no table"):
        opened().credit.score([1, 2])


def test_what_is_not_there_is_told(opened: Callable[..., Workspace]) -> None:
    with pytest.raises(NotFound):
        opened(organization="nobody")
    with pytest.raises(NotFound):
        opened(user="nobody")
    with pytest.raises(AttributeError):
        _ = opened().astrology


def test_importing_the_product_loads_little() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, plumbline; print([m for m in ('polars', 'lightgbm', 'fastapi') if m in sys.modules])"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert told.strip() == "[]"

"""What the API page says of rights and errors is read from the code: the reading itself is tested here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound
from plumbline.kernel.identity import service as identity

OWN = "test.own"


@pytest.fixture(scope="module")
def reach() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reach", Path(__file__).resolve().parents[2] / "docs" / "reach.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asks(context: Context, own: bool, other: Any) -> None:
    context.require("test.first")
    other(right=OWN)
    other(right=None if own else "test.second")


def raises(limit: int) -> None:
    from plumbline.kernel import paging

    if limit:
        raise Conflict("taken")
    paging.PageRequest.parse(limit)


def test_rights_are_found_as_words_as_constants_and_as_one_of_two(reach: ModuleType) -> None:
    assert reach.reached(asks) == ({"test.first", "test.second", OWN}, frozenset())


def test_errors_are_found_through_calls_and_imports_inside_functions(reach: ModuleType) -> None:
    assert reach.reached(raises) == (frozenset(), {Conflict.status, InvalidInput.status})


def test_what_a_service_demands_is_found_through_its_act(reach: ModuleType) -> None:
    rights, statuses = reach.reached(identity.revoke_key)
    assert rights == {"keys.own"}
    assert {NotFound.status, Conflict.status} <= statuses


def test_the_listing_of_people_asks_for_one_right_only(reach: ModuleType) -> None:
    rights, _ = reach.reached(identity.list_users)
    assert rights == {"users.read"}

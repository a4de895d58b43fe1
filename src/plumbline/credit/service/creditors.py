"""Whose notices they are: the organization's jurisdiction, its own clock, and what the texts say of the creditor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plumbline.credit.notices import jurisdictions
from plumbline.credit.service import clocks
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.identity import repository as people
from plumbline.kernel.identity.service import change_settings
from plumbline.kernel.installation import Installation

SETTINGS = ("jurisdiction", "days", "creditor", "address", "contact", "authority", "bureau", "bureau_address")
LONGEST = 400


def settings_of(installation: Installation, context: Context) -> dict[str, Any]:
    """What the organization chose, as it holds now."""
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        now = clocks.chosen(session, context.organization_id)
    named = {name: getattr(now.creditor, name) or None for name in SETTINGS[2:]}
    return {"jurisdiction": now.jurisdiction.code, "days": now.days or now.jurisdiction.days, **named}


def change(installation: Installation, context: Context, **values: str | int | None) -> dict[str, Any]:
    """Choose jurisdiction, a clock of one's own, and what the texts say of the creditor; an empty text takes one back.

    :raises InvalidInput: no such jurisdiction, a clock longer than its own, or a text that is too long.
    """
    given = {
        name: value.strip() if isinstance(value, str) else value for name, value in values.items() if value is not None
    }
    with installation.database.read(context.organization_id) as session:
        organization = people.organization(session, context.organization_id)
        before = dict(((organization.settings or {}) if organization else {}).get(clocks.SETTING) or {})
    after: dict[str, Any] = {name: value for name, value in {**before, **given}.items() if value not in ("", None)}
    for name, value in given.items():
        if name not in SETTINGS:
            raise InvalidInput(
                f"There is no setting '{name}'.", where=Where(field=name), remedy=f"Use {', '.join(SETTINGS)}."
            )
        if isinstance(value, str) and len(value) > LONGEST:
            raise InvalidInput(
                f"It has {len(value)} characters.", where=Where(field=name), remedy=f"Use at most {LONGEST}."
            )
    code = str(after.get("jurisdiction", clocks.DEFAULT))
    found = jurisdictions().get(code)
    if found is None:
        raise InvalidInput(f"There are no texts for the jurisdiction '{code}'.", where=Where(field="jurisdiction"),
                           remedy=f"Choose one of {', '.join(jurisdictions())}.")  # fmt: skip
    days = after.get("days")
    if days is not None and not (isinstance(days, int) and 1 <= days <= found.days):
        raise InvalidInput(f"The clock of {code} is {found.days} days; a creditor's own can only be shorter.", where=Where(field="days"),
                           remedy=f"Give 1 to {found.days}.")  # fmt: skip
    change_settings(installation, context, **{clocks.SETTING: after or None})
    return settings_of(installation, replace(context, rights=context.rights | {"credit.read"}))

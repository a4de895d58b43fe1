"""Notices of declines, and what applicants and people do about decisions: ``plumbline credit notices | reviews``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.credit.cli.groups import credit, key_of
from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_page

if TYPE_CHECKING:
    from plumbline.credit.tables import Review

notices = typer.Typer(no_args_is_help=True, add_completion=False, help="Notices of declines, with their clock.")
reviews = typer.Typer(no_args_is_help=True, add_completion=False, help="Reviews applicants ask for, and final decisions by people.")  # fmt: skip
credit.add_typer(notices, name="notices")
credit.add_typer(reviews, name="reviews")

Prediction = Annotated[str, typer.Argument(help="Id of a decision.")]


class State(StrEnum):
    open = "open"
    issued = "issued"
    late = "late"
    withdrawn = "withdrawn"


class ReviewState(StrEnum):
    open = "open"
    acknowledged = "acknowledged"
    resolved = "resolved"


class Channel(StrEnum):
    letter = "letter"
    email = "email"
    portal = "portal"
    branch = "branch"


class Through(StrEnum):
    letter = "letter"
    email = "email"
    portal = "portal"
    branch = "branch"
    phone = "phone"


class Final(StrEnum):
    approve = "approve"
    decline = "decline"


@notices.command("list")
def list_notices(
    context: typer.Context,
    state: Annotated[State | None, typer.Option("--state", help="Only these.")] = None,
    due_within: Annotated[
        int | None, typer.Option("--due-within", min=0, max=365, help="Open ones due within so many days, and overdue ones.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List notices, newest first. The clock of a long file's declines starts here by the daily job."""
    from plumbline.credit.answers import notice_facts
    from plumbline.credit.service import notices as service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_notices(called.installation, called.context, PageRequest.parse(limit, cursor), state=state.value if state else None,
                                due_within=due_within)  # fmt: skip
    columns = ("prediction_id", "state", "due_at", "issued_at", "channel", "jurisdiction")
    print_page(page, columns, notice_facts, as_json=as_json, empty="There is no such notice.")


@notices.command()
def show(
    context: typer.Context,
    prediction: Prediction,
    to: Annotated[Path | None, typer.Option("--to", help="Write the page to print here, once it is issued.")] = None,
    as_json: Json = False,
) -> None:
    """Show a decision's notice: whether it is due, until when, or the one that went out."""
    from plumbline.credit.answers import notice_facts
    from plumbline.credit.service import notices as service

    called, key = invocation(context), key_of(prediction)
    view = service.notice_of(called.installation, called.context, key)
    if to is not None:
        _write(to, service.page_of(called.installation, called.context, key))
    if view.notice is not None:
        facts = notice_facts(view.notice)
    else:
        facts = {"prediction_id": key, "jurisdiction": view.jurisdiction, "state": view.state, "due_at": view.due_at}
    _print(facts, as_json, document=view.notice.document if view.notice else None)


@notices.command()
def draft(
    context: typer.Context,
    prediction: Prediction,
    to: Annotated[Path, typer.Option("--to", help="Write the page here.")],
    reason: Annotated[list[str] | None, typer.Option("--reason", help="Of the person who declined; repeatable.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write the notice as it would go out now; nothing is recorded."""
    from plumbline.credit.notices import as_html
    from plumbline.credit.service import notices as service

    called = invocation(context)
    made = service.draft(called.installation, called.context, key_of(prediction), reason or ())
    _write(to, as_html(made))
    print_facts({"written": str(to), "reasons": "; ".join(r.text for r in made.reasons)}, as_json=as_json)


@notices.command()
def issue(
    context: typer.Context,
    prediction: Prediction,
    channel: Annotated[Channel, typer.Option("--channel", help="How it goes out.")],
    cause: Annotated[str, typer.Option("--cause", help="Why it is late, after its clock has ended.")] = "",
    reason: Annotated[
        list[str] | None, typer.Option("--reason", help="Of the person who declined what the model did not; repeatable.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write the page to print here.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make the notice of a decline and record that it went out. Once more gives the same document."""
    from plumbline.credit.answers import notice_facts
    from plumbline.credit.service import notices as service

    called = invocation(context)
    issued = service.issue(called.installation, called.context, key_of(prediction), channel=channel.value, cause=cause, reasons=reason or ())  # fmt: skip
    if to is not None:
        _write(to, service.page_of(called.installation, called.context, issued.notice.prediction_id))
    _print(notice_facts(issued.notice) | {"repeated": issued.repeated}, as_json, document=issued.notice.document)


@notices.command()
def settings(
    context: typer.Context,
    jurisdiction: Annotated[str | None, typer.Option("--jurisdiction", help="Whose texts and clock.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="A clock of your own, shorter than the jurisdiction's.")] = None,
    creditor: Annotated[str | None, typer.Option("--creditor", help="Your name; default: the organization's.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Your address.")] = None,
    contact: Annotated[str | None, typer.Option("--contact", help="Telephone, e-mail.")] = None,
    authority: Annotated[str | None, typer.Option("--authority", help="The authority over you, with its address.")] = None,
    bureau: Annotated[str | None, typer.Option("--bureau", help="The credit bureau you ask.")] = None,
    bureau_address: Annotated[str | None, typer.Option("--bureau-address", help="Its address and telephone.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show, or with options change, whose notices they are; an empty text takes one back."""
    from plumbline.credit.service import creditors

    called = invocation(context)
    given = {
        "jurisdiction": jurisdiction, "days": days, "creditor": creditor, "address": address, "contact": contact, "authority": authority,
        "bureau": bureau, "bureau_address": bureau_address,
    }  # fmt: skip
    if any(value is not None for value in given.values()):
        told = creditors.change(called.installation, called.context, **given)
    else:
        told = creditors.settings_of(called.installation, called.context)
    print_facts(told if as_json else {name.replace("_", " "): value for name, value in told.items()}, as_json=as_json)


@notices.command()
def jurisdictions(context: typer.Context, as_json: Json = False) -> None:
    """List the jurisdictions that have texts here."""
    from plumbline.credit.notices import jurisdictions as known
    from plumbline.kernel.paging import Page

    rows = [
        {"code": j.code, "title": j.title, "days": j.days, "from": j.starts, "reasons": j.most, "version": j.version}
        for j in known().values()
    ]
    print_page(
        Page(rows, None, len(rows)),
        ("code", "title", "days", "from", "reasons", "version"),
        lambda row: row,
        as_json=as_json,
    )


@reviews.command("list")
def list_reviews(
    context: typer.Context,
    state: Annotated[ReviewState | None, typer.Option("--state", help="Only these.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List reviews, newest first."""
    from plumbline.credit.answers import review_facts
    from plumbline.credit.service import reviews as service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_reviews(called.installation, called.context, PageRequest.parse(limit, cursor), state=state.value if state else None)  # fmt: skip
    columns = ("prediction_id", "state", "due_at", "requested_at", "final_decision", "proposed_decision")
    print_page(page, columns, review_facts, as_json=as_json, empty="There is no such review.")


@reviews.command("request")
def request_review(
    context: typer.Context,
    prediction: Prediction,
    through: Annotated[Through, typer.Option("--through", help="How the applicant asked.")],
    words: Annotated[str, typer.Option("--words", help="What the applicant says about it.")] = "",
    as_json: Json = False,
) -> None:
    """The applicant asks for a person's look at a decision, whatever it was."""
    from plumbline.credit import service

    called = invocation(context)
    found = service.request_review(called.installation, called.context, key_of(prediction), through=through.value, words=words)  # fmt: skip
    _print_review(found, as_json)


@reviews.command()
def override(
    context: typer.Context,
    prediction: Prediction,
    decision: Annotated[Final, typer.Argument(help="How it is decided in the end.")],
    cause: Annotated[str, typer.Option("--cause", help="Why; at least 10 characters, auditors read them.")],
    as_json: Json = False,
) -> None:
    """A person's final decision. Under four eyes the first person proposes it, a second one confirms."""
    from plumbline.credit import service

    called = invocation(context)
    found = service.override(called.installation, called.context, key_of(prediction), decision=decision.value, cause=cause)  # fmt: skip
    _print_review(found, as_json)


def _print(facts: dict[str, Any], as_json: bool, *, document: dict[str, Any] | None) -> None:
    if as_json:
        print_facts(facts | {"document": document}, as_json=True)
        return
    reasons = facts.pop("reasons", [])
    print_facts({name.replace("_", " "): value for name, value in facts.items()}, as_json=False)
    for number, reason in enumerate(reasons, 1):
        typer.echo(f"  {number}. {reason['text']}")


def _print_review(found: Review, as_json: bool) -> None:
    from plumbline.credit.answers import review_facts

    facts = review_facts(found)
    print_facts(facts if as_json else {name.replace("_", " "): value for name, value in facts.items()}, as_json=as_json)


def _write(to: Path, page: bytes) -> None:
    """Whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    part.write_bytes(page)
    part.replace(to)

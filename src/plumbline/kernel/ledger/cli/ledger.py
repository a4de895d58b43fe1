"""``plumbline ledger``: sealing, proofs, verification, erasure and retention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Json, Limit, invocation, print_facts, print_json, print_table, progress
from plumbline.kernel.ledger.cli.given import Reason, id_of, publics_of, text_of
from plumbline.kernel.ledger.cli.keys import key, witness

if TYPE_CHECKING:
    from plumbline.kernel.ledger.service.erasing import Plan

ledger = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The ledger: seal, verify, prove, checkpoints, witnesses, keys."
)
ledger.add_typer(key, name="key")
ledger.add_typer(witness, name="witness")

Out = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of the terminal.")]


@ledger.command("status")
def status(context: typer.Context, as_json: Json = False) -> None:
    """How the ledger stands: size, what waits, who has its checkpoints, when it was verified."""
    from plumbline.kernel.ledger.service import delivering, standing

    called = invocation(context)
    s = standing.standing(called.installation, called.context)
    outside = delivering.destinations(called.installation, called.context.organization_id)
    facts: dict[str, Any] = {
        "origin": s.origin, "entries sealed": s.size, "root": s.root.hex() if s.root else None, "sealed at": s.sealed_at,
        "checkpoints": s.checkpoints, "waiting": s.waiting, "oldest waits since": s.waiting_since, "removed by retention": s.pruned_below,
        "obstacle": s.obstacle, "verified at": s.verified.finished_at if s.verified else None,
        "verified sound": s.verified.sound if s.verified else None, "verifier keys": list(s.verifier_keys),
    }  # fmt: skip
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in facts.items()} | {"destinations": outside})
        return
    print_facts({k: v for k, v in facts.items() if k != "verifier keys"}, as_json=False)
    for text in s.verifier_keys:
        typer.echo(f"verifier key         {text}")
    if not outside:
        typer.echo(
            "Checkpoints do not leave this installation: set ledger_stores or ledger_witnesses (docs/security-model.md)."
        )
        return
    print_table(("destination", "kind", "has", "behind", "delivered at", "error"),
                [[d.address, d.kind, d.tree_size, d.behind, d.delivered_at, d.error] for d in outside], right=("has", "behind"))  # fmt: skip


@ledger.command("seal")
def seal(context: typer.Context, as_json: Json = False) -> None:
    """Seal what waits now, and send the checkpoint to stores and witnesses."""
    from plumbline.kernel.ledger.service import delivering, sealing

    called = invocation(context)
    done = sealing.seal_now(called.installation, called.context)
    sent = delivering.deliver(called.installation, called.context.organization_id)
    if as_json:
        print_json(
            {
                "sealed": done.sealed,
                "size": done.size,
                "sealed_at": done.sealed_at,
                "checkpoint": done.note,
                "deliveries": sent,
            }
        )
        return
    typer.echo(f"sealed {done.sealed:,}; the ledger has {done.size:,} entries")
    for one in sent:
        if one.error:
            typer.echo(f"{one.address}: {one.error}", err=True)


@ledger.command("verify")
def verify(
    context: typer.Context,
    since: Annotated[Path | None, typer.Option("--since", help="A checkpoint kept elsewhere: read only what came after it.")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere that must fit; may be repeated.")] = None,
    public: Annotated[list[str] | None, typer.Option("--key", help="Public key to believe (file or verifier key); default: what this home knows.")] = None,
    records: Annotated[bool, typer.Option("--records", help="Check every decision against its entry as well.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Read everything again: is it all there, unchanged, in order, signed? Exit code 3 when it is not."""
    from plumbline.kernel.faces.cli import plain
    from plumbline.kernel.ledger.service import checking, delivering

    called = invocation(context)
    kept = delivering.kept_outside(called.installation, called.context.organization_id)
    given = [text_of(path) for path in checkpoint or []]
    with progress("entries") as moved:
        done = checking.check(
            called.installation, called.context, publics=publics_of(public) if public else None, trusted=[*given, *kept],
            since=text_of(since) if since else None, records=records, told=moved,
        )  # fmt: skip
    report = done.report
    if as_json:
        body = plain(report) | {
            "sound": report.sound,
            "id": str(done.id),
            "findings": plain(report.findings[: checking.SHOWN]),
        }
        print_json(body)
    else:
        for finding in report.findings[: checking.SHOWN]:
            typer.echo(f"{finding.kind}: {finding.text}")
        if report.count > checking.SHOWN:
            typer.echo(f"… and {report.count - checking.SHOWN:,} more")
        for text in report.notes:
            typer.echo(f"note: {text}")
        if not report.size:
            typer.echo("note: nothing is sealed yet, so there is little to verify: plumbline ledger seal")
        since_text = f"since the checkpoint of {report.from_size:,}: " if report.from_size else ""
        typer.echo(f"{since_text}{report.entries:,} entries of {report.size:,} read again, {report.checkpoints:,} checkpoints, "
                   f"{report.waiting:,} waiting" + (f", {report.decisions:,} decisions" if report.decisions is not None else ""))  # fmt: skip
        typer.echo(
            "sound" if report.sound else f"NOT SOUND: {report.count:,} {'finding' if report.count == 1 else 'findings'}"
        )
    if not report.sound:
        raise typer.Exit(3)


@ledger.command("prove")
def prove(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="ID", help="An entry of the audit log, or a decision.")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The proof that an entry or decision was recorded (C2SP tlog-proof); docs/verify-without-plumbline.md checks it."""
    from plumbline.kernel.models.evidence import evidence_of

    called = invocation(context)
    found = evidence_of(called.installation, called.context, id_of(what))
    if as_json:
        _write(out, _json_text(found.as_dict()))
    else:
        _write(out, found.entry.proof)


@ledger.command("checkpoint")
def checkpoint(
    context: typer.Context,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="Of the tree of so many entries; default: the last.")
    ] = None,
    out: Out = None,
) -> None:
    """A signed checkpoint with its cosignatures: keep it where nobody who runs this installation can change it."""
    from plumbline.kernel.ledger.service import proving

    called = invocation(context)
    _write(out, proving.checkpoint(called.installation, called.context, size))


@ledger.command("checkpoints")
def checkpoints(context: typer.Context, limit: Limit = 50, as_json: Json = False) -> None:
    """The checkpoints, the newest first."""
    from plumbline.kernel.ledger.service import standing

    called = invocation(context)
    found = standing.checkpoints(called.installation, called.context, limit=limit)
    if as_json:
        print_json([{"size": c.size, "root": c.root.hex(), "sealed_at": c.sealed_at, "note": c.note} for c in found])
        return
    print_table(("size", "sealed at", "root"), [[c.size, c.sealed_at[:19].replace("T", " "), c.root.hex()] for c in found], right=("size",),
                empty="Nothing is sealed yet.")  # fmt: skip


@ledger.command("consistency")
def consistency(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="A checkpoint: its size, or a file that was kept.")],
    second: Annotated[str | None, typer.Argument(metavar="B", help="A later one; default: the last.")] = None,
    as_json: Json = False,
) -> None:
    """Prove that the later of two checkpoints only adds to the earlier. Exit code 3 when it does not."""
    from plumbline.kernel.ledger.service import comparing

    called = invocation(context)
    result = comparing.compare(
        called.installation, called.context, _size_or_note(first), _size_or_note(second) if second else None
    )
    if as_json:
        print_json({"consistent": result.fault is None, "fault": result.fault, "first": result.first, "second": result.second,
                    "path": [h.hex() for h in result.path]})  # fmt: skip
    else:
        typer.echo(f"consistent: the tree of {result.sizes[1]:,} entries begins with that of {result.sizes[0]:,}" if result.fault is None
                   else f"NOT CONSISTENT: {result.fault}")  # fmt: skip
        for step in result.path:
            typer.echo(step.hex())
    if result.fault is not None:
        raise typer.Exit(3)


@ledger.command("erase")
def erase(
    context: typer.Context,
    subject: Annotated[str | None, typer.Option("--subject", help="Whom decisions are about: an application's number, a sender.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="One of our people: address, session and program of their acts.")] = None,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would be done is told.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Erase what is known of a subject or a person; every proof stays valid. A dry run unless --yes is given."""
    from plumbline.kernel.identity import service as identity
    from plumbline.kernel.ledger.service import erasing

    called = invocation(context)
    person = identity.user_named(called.installation, called.context, user).id if user else None
    if yes:
        done = erasing.erase(called.installation, called.context, reason=reason, subject=subject, person=person)
    else:
        done = erasing.plan(called.installation, called.context, subject=subject, person=person)
    _tell_erasure(done, yes=yes, as_json=as_json)


def _tell_erasure(plan: Plan, *, yes: bool, as_json: bool) -> None:
    if as_json:
        print_json({"done": yes and bool(plan), "plan": plan})
        return
    for what, count in plan.told:
        typer.echo(f"{'erased' if yes else 'would erase'}: {what} ({count:,})")
    for text in plan.kept:
        typer.echo(f"kept: {text}")
    if not plan:
        typer.echo("Nothing is known that could be erased.")
    elif not yes:
        typer.echo("Nothing was changed. To do it: the same with --yes --reason TEXT")


@ledger.command("prune")
def prune(
    context: typer.Context,
    retention_days: Annotated[int, typer.Option("--retention-days", min=1, help="Keep entries of so many days.")],
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=100_000, help="Rows deleted in one transaction.")] = 1000,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would be done is told.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Archive and remove old entries of the audit log; leaves and proofs stay. A dry run unless --yes is given."""
    from plumbline.kernel.ledger.service import pruning

    called = invocation(context)
    if yes:
        with progress("entries") as moved:
            done = pruning.prune(
                called.installation, called.context, retention_days=retention_days, batch_size=batch_size, told=moved
            )
    else:
        done = pruning.plan(called.installation, called.context, retention_days=retention_days)
    if as_json:
        print_json({"done": yes, "pruning": done})
        return
    typer.echo(
        f"{'archived and removed' if yes else 'would archive and remove'} {done.entries:,} entries older than {done.older_than:%Y-%m-%d %H:%M} UTC"
    )
    if done.archive:
        typer.echo(f"archive {done.archive}, SHA-256 {done.archive_sha256}")
    if not yes and done.entries:
        typer.echo("Nothing was changed. To do it: the same with --yes")


def _size_or_note(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text_of(Path(text))


def _json_text(value: Any) -> str:
    import json

    from plumbline.kernel.faces.cli import plain

    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"


def _write(out: Path | None, text: str) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    from plumbline.kernel.errors import Unavailable

    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise Unavailable(f"'{out}' cannot be written: {error.strerror}.", remedy="Choose another file.") from None
    typer.echo(f"wrote {out}", err=True)

"""``plumbline ledger key | witness``: the key that signs checkpoints, and the logs of others that are witnessed here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.kernel.faces.cli import Json, invocation, print_json, print_table
from plumbline.kernel.ledger.cli.given import Reason, text_of

key = typer.Typer(no_args_is_help=True, add_completion=False, help="The key that signs checkpoints.")
witness = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Logs of others that this installation witnesses."
)


@key.command("show")
def key_show(
    context: typer.Context,
    pem: Annotated[bool, typer.Option("--pem", help="The present key as OpenSSL reads it.")] = False,
    as_json: Json = False,
) -> None:
    """The public keys under which this organization's ledger is signed, the present one last."""
    from plumbline.kernel.errors import NotFound
    from plumbline.kernel.ledger import keys
    from plumbline.kernel.ledger.service import standing

    called = invocation(context)
    known = keys.known_public(called.installation.settings)
    if not known:
        raise NotFound("There is no key yet.", remedy="It is made with the first seal: plumbline ledger seal.")
    if pem:
        typer.echo(keys.public_pem(known[-1]), nl=False)
        return
    texts = standing.standing(called.installation, called.context).verifier_keys
    if as_json:
        print_json([{"verifier_key": text, "pem": keys.public_pem(public)} for text, public in zip(texts, known)])
        return
    for text in texts:
        typer.echo(text)


@key.command("rotate")
def key_rotate(
    context: typer.Context,
    reason: Reason,
    new_key: Annotated[
        Path | None, typer.Option("--new-key", help="PEM of the new key; default: one is made in the home.")
    ] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="The old key is gone; the new one has to be told to whoever verifies.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a new key: an entry under the old one names it, and one checkpoint carries both signatures."""
    from plumbline.kernel.ledger import note
    from plumbline.kernel.ledger.service import rotating

    called = invocation(context)
    done = rotating.rotate(
        called.installation, called.context, reason=reason, new_key=text_of(new_key) if new_key else None, lost=lost
    )
    if as_json:
        print_json({"old": note.b64(done.old) if done.old else None, "new": note.b64(done.new), "organizations": done.organizations,
                    "to_configure": done.to_configure})  # fmt: skip
        return
    typer.echo(f"the new key signs {done.organizations} {'ledger' if done.organizations == 1 else 'ledgers'}")
    if done.to_configure:
        typer.echo("Now set ledger_key or ledger_key_command to the new key; until then both keys sign.")
    if lost:
        typer.echo("Tell everybody who verifies the new public key: plumbline ledger key show")


@witness.command("list")
def witness_list(context: typer.Context, as_json: Json = False) -> None:
    """The logs this installation witnesses, and how far it has seen them."""
    from plumbline.kernel.ledger.service import witnessing

    called = invocation(context)
    found = witnessing.list_logs(called.installation, called.context)
    if as_json:
        print_json(
            [
                {
                    "origin": w.origin,
                    "verifier_key": w.verifier_key,
                    "tree_size": w.tree_size,
                    "cosigned_at": w.cosigned_at,
                }
                for w in found
            ]
        )
        return
    print_table(("origin", "size", "cosigned at"), [[w.origin, w.tree_size, w.cosigned_at] for w in found], right=("size",),
                empty="No log of others is witnessed here.")  # fmt: skip


@witness.command("add")
def witness_add(
    context: typer.Context, verifier_key: Annotated[str, typer.Argument(metavar="VERIFIER-KEY")], as_json: Json = False
) -> None:
    """Witness another log: `plumbline ledger key show` there prints its verifier key."""
    from plumbline.kernel.ledger.service import witnessing

    called = invocation(context)
    witnessing.register(called.installation, called.context, verifier_key)
    if as_json:
        print_json({"registered": verifier_key})
    else:
        typer.echo("registered; it may now be cosigned at /api/v1/ledger/witness/add-checkpoint")


@witness.command("remove")
def witness_remove(
    context: typer.Context, origin: Annotated[str, typer.Argument(metavar="ORIGIN")], as_json: Json = False
) -> None:
    """Witness a log no longer; what was seen of it is forgotten."""
    from plumbline.kernel.ledger.service import witnessing

    called = invocation(context)
    witnessing.forget(called.installation, called.context, origin)
    if as_json:
        print_json({"removed": origin})
    else:
        typer.echo("removed")


@witness.command("key")
def witness_key(context: typer.Context, as_json: Json = False) -> None:
    """The verifier key of this installation as a witness: other logs name it in ledger_witnesses."""
    from plumbline.kernel.ledger import keys, note

    pair = keys.witness(invocation(context).installation.settings)
    text = str(note.VerifierKey(pair.name, pair.public, note.COSIGNATURE))
    if as_json:
        print_json({"verifier_key": text})
    else:
        typer.echo(text)

"""What the ledger's commands are given: a reason, an id, a file, public keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uuid import UUID

Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")]


def id_of(text: str) -> UUID:
    """
    :raises Usage: it is none.
    """
    from uuid import UUID

    from plumbline.kernel.errors import Usage

    try:
        return UUID(text)
    except ValueError:
        raise Usage(
            f"'{text}' is no id.", remedy="Copy one: plumbline audit list --json, plumbline credit decisions --json"
        ) from None


def text_of(path: Path) -> str:
    """
    :raises InvalidInput: it cannot be read as UTF-8.
    """
    from plumbline.kernel.errors import InvalidInput, Where

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(
            f"The file '{path}' cannot be read.", where=Where(file=str(path)), remedy="Give a text file."
        ) from None


def publics_of(given: list[str]) -> list[bytes]:
    """The public keys in key files and verifier keys.

    :raises InvalidInput: one is neither.
    """
    from plumbline.kernel.errors import InvalidInput, Where
    from plumbline.kernel.ledger import keys

    found: list[bytes] = []
    for text in given:
        if Path(text).is_file():
            found += keys.read_public(Path(text))
            continue
        try:
            found += keys.parse_public(text)
        except ValueError as error:
            raise InvalidInput(f"'{text[:60]}' is neither a key file nor a verifier key: {error}.", where=Where(field="key"),
                               remedy="See: plumbline ledger key show") from None  # fmt: skip
    return found

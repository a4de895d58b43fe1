"""A dossier as people, programs and checkers take it: HTML, JSON, and a ZIP of both with the proof's files (pure)."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from plumbline.console import formats
from plumbline.kernel import canonical, clock
from plumbline.kernel.dossier.telling import Dossier, Table
from plumbline.kernel.ledger.note import b64
from plumbline.kernel.models import pictures

FORMAT = "plumbline-dossier/1"
NARROW = 5
"""Tables of more columns are drawn as lists: they fit neither a phone nor a sheet of paper."""
_EARLIEST = datetime(1980, 1, 1)  # noqa: DTZ001 - a ZIP knows neither zones nor earlier times


def as_dict(dossier: Dossier) -> dict[str, Any]:
    """All of it as JSON values."""
    told, model = dossier.told, dossier.model
    return {
        "format": FORMAT, "program": dossier.program, "made_at": clock.text(dossier.made_at), "made_by": dossier.made_by,
        "organization": {"id": str(dossier.organization_id), "name": dossier.organization},
        "decision": dossier.stored | {
            "title": told.title, "subject": told.subject, "outcome": told.outcome, "summary": told.summary,
            "facts": [{"what": what, "value": value} for what, value in told.facts], "because": told.because,
            "reasons": [asdict(reason) for reason in told.reasons], "keep_in_mind": list(told.limits),
        },
        "input": told.input, "output": told.output,
        "model": {
            "id": str(model.id), "name": model.name, "version": model.version, "framework": model.framework, "sha256": model.sha256,
            "trained_at": clock.text(model.trained_at), "deployed_at": clock.text(model.deployed_at) if model.deployed_at else None,
            "figures": model.figures,
        },
        "replay": asdict(told.replay) | {"differences": list(told.replay.differences)},
        "history": [asdict(e) | {"at": clock.text(e.at), "entry_id": str(e.entry_id)} for e in dossier.events],
        "erased": None if dossier.erasure is None else {
            "at": clock.text(dossier.erasure.at) if dossier.erasure.at else None, "reason": dossier.erasure.reason,
            "entry_id": str(dossier.erasure.entry_id) if dossier.erasure.entry_id else None,
        },
        "evidence": dossier.found.as_dict(), "checkpoint": dossier.checkpoint, "keys": [asdict(key) for key in dossier.keys],
    }  # fmt: skip


def as_json(dossier: Dossier) -> bytes:
    """Canonical JSON (RFC 8785)."""
    return canonical.dumps(as_dict(dossier))


def as_html(dossier: Dossier) -> bytes:
    """One page that loads nothing and runs nothing."""
    found = dossier.found
    return (
        _templates()
        .get_template("dossier.html")
        .render(
            d=dossier, told=dossier.told, entry=found.entry, decision=found.decision, wide=lambda table: len(table.headers) > NARROW,
            cells=_cells, check=shipped("check.sh").decode(), figures=_figures(dossier), key=dossier.key,
            content=found.entry.content.message.decode() if found.entry.content.message is not None else None,
        )
        .encode()
    )  # fmt: skip


def files(dossier: Dossier) -> dict[str, bytes]:
    """Name → content of everything in the ZIP; ``SHA256SUMS``, over the others, is the last."""
    entry, decision = dossier.found.entry, dossier.found.decision
    found: dict[str, bytes | None] = {
        "README.txt": b"", "dossier.html": as_html(dossier), "dossier.json": as_json(dossier), "proof.tlog-proof": entry.proof.encode(),
        "checkpoint.txt": dossier.checkpoint.encode(), "public-key.pem": dossier.key.pem.encode(), "check.sh": shipped("check.sh"),
        "leaf.json": entry.leaf, "content.bin": entry.content.bytes, "actor.bin": entry.actor.bytes,
    }  # fmt: skip
    if not dossier.key.checkpoint and (later := next((k for k in dossier.keys if k.checkpoint), None)):
        found["checkpoint-public-key.pem"] = later.pem.encode()
    if decision is not None and decision.salt is not None and decision.record is not None:
        found["record.bin"] = decision.salt + decision.record
        if decision.root is not None:
            found["record-path.json"] = canonical.dumps(
                {
                    "hashes": [b64(h) for h in decision.path],
                    "index": decision.index,
                    "root": decision.root.hex(),
                    "size": decision.size,
                }
            )
            found["check-row.sh"] = shipped("check-row.sh")
    there = {name: data for name, data in found.items() if data is not None}
    there["README.txt"] = _templates().get_template("README.txt").render(d=dossier, names=set(there)).encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(there.items()))
    return there | {"SHA256SUMS": sums.encode()}


def as_zip(dossier: Dossier) -> bytes:
    """The same dossier gives the same bytes: every file bears the time at which the dossier was made."""
    made = BytesIO()
    at = max(dossier.made_at.replace(tzinfo=None), _EARLIEST).timetuple()[:6]
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files(dossier).items():
            info = zipfile.ZipInfo(name, at)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED, 9)
    return made.getvalue()


@cache
def shipped(name: str) -> bytes:
    """A script that comes with the program: the ledger's check, or ours."""
    package = "plumbline.kernel.ledger" if name == "check.sh" else "plumbline.kernel.dossier"
    return resources.files(package).joinpath(name).read_bytes()


def _figures(dossier: Dossier) -> list[tuple[str, str]]:
    names = sorted(
        dossier.model.figures,
        key=lambda n: (pictures.ORDER.index(n) if n in pictures.ORDER else len(pictures.ORDER), n),
    )
    return [(pictures.name_of(name), pictures.figure(dossier.model.figures[name])) for name in names]


def _cells(table: Table, row: tuple[str | None, ...]) -> list[tuple[str, str]]:
    """Header and value of what was given in a row of a wide table."""
    return [(header, cell) for header, cell in zip(table.headers, row) if cell is not None]


def _moment(at: datetime) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(formats.iso(at), formats.held(formats.when(at)))


def _broken(text: str) -> Markup:
    """A hash or id that may break every eight characters."""
    return Markup("<wbr>").join(escape(text[i : i + 8]) for i in range(0, len(text), 8))


@cache
def _templates() -> Environment:
    made = Environment(loader=PackageLoader("plumbline.kernel.dossier"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
                       autoescape=select_autoescape(("html",)))  # fmt: skip
    made.filters |= {"when": formats.when, "moment": _moment, "broken": _broken, "number": formats.number, "plural": formats.plural,
                     "breakable": formats.breakable}  # fmt: skip
    return made

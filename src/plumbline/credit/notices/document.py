"""The notice itself: composed once, then a page to print and the same as JSON (pure)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from plumbline.credit.notices.jurisdictions import Creditor, Jurisdiction, Section
from plumbline.credit.notices.reasons import Principal
from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput, Where

FORMAT = "plumbline-notice/1"
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip
UNKNOWN = "not recorded"
LABELS = {
    "creditor": "the creditor's name", "address": "the creditor's address", "contact": "how to reach the creditor",
    "authority": "the authority over the creditor", "bureau": "the credit bureau's name", "bureau_address": "the credit bureau's address",
}  # fmt: skip
STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #16181d; font: 11pt/1.5 "Iowan Old Style", Charter, Georgia, serif; }
main { max-width: 42rem; margin: 0 auto; padding: 3rem 1.5rem; }
h1 { font-size: 17pt; line-height: 1.25; margin: 2.5rem 0 1rem; }
h2 { font-size: 12pt; margin: 1.75rem 0 .4rem; }
p { margin: 0 0 .75rem; white-space: pre-line; }
address { font-style: normal; white-space: pre-line; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 1rem 0; }
dt { color: #50555f; } dd { margin: 0; overflow-wrap: anywhere; }
ol { margin: .5rem 0 0; padding-left: 1.4rem; } li { margin: 0 0 .5rem; }
small { font-size: 9.5pt; color: #50555f; }
footer { margin-top: 2.5rem; padding-top: .75rem; border-top: 1px solid #c9cdd4; font-size: 9pt; color: #50555f; }
@media (max-width: 30rem) { main { padding: 1.5rem 1rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@page { margin: 20mm; }
@media print { main { max-width: none; padding: 0; } h2, li { break-inside: avoid; break-after: avoid-page; } }
""".strip()
POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"  # fmt: skip
"""What a browser that shows the page is told: nothing but its own style."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The decision a notice is about.

    :ivar by_person: a person declined what the model did not.
    :ivar lowest: points; with ``highest`` what the model gave the applications it was measured on; None: not recorded.
    :ivar on_bureau: what a credit bureau reported was among what was scored against the applicant.
    """

    prediction_id: str
    application: str
    decided_at: datetime
    scored_at: datetime
    points: float
    by_person: bool
    lowest: float | None
    highest: float | None
    on_bureau: bool
    reasons_version: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Everything that stands in a notice."""

    jurisdiction: str
    version: str
    title: str
    language: str
    sources: tuple[str, ...]
    creditor: Creditor
    prediction_id: str
    application: str
    decided_at: datetime
    issued_at: datetime
    heading: str
    opening: str
    introduction: str
    reasons: tuple[Principal, ...]
    reasons_version: str
    sections: tuple[Section, ...]
    on_bureau: bool
    points: float
    lowest: float | None
    highest: float | None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "format": FORMAT, "kind": "adverse_action",
            "jurisdiction": {"code": self.jurisdiction, "version": self.version, "title": self.title, "sources": list(self.sources)},
            "language": self.language, "creditor": {k: v for k, v in asdict(self.creditor).items() if v},
            "prediction_id": self.prediction_id, "application": self.application, "decision": "decline",
            "decided_at": self.decided_at.isoformat(), "issued_at": self.issued_at.isoformat(), "heading": self.heading,
            "opening": self.opening, "introduction": self.introduction, "reasons": [r.to_dict() for r in self.reasons],
            "reasons_version": self.reasons_version, "sections": [asdict(s) for s in self.sections], "bureau": self.on_bureau,
            "score": {"points": self.points, "lowest": self.lowest, "highest": self.highest},
        }  # fmt: skip


def compose(jurisdiction: Jurisdiction, creditor: Creditor, basis: Basis, reasons: tuple[Principal, ...], issued_at: datetime) -> Notice:  # fmt: skip
    """Put a notice together.

    :raises InvalidInput: its texts need something of the creditor that is not known yet; all of it is named.
    """
    lacking = creditor.missing(jurisdiction.named(bureau=basis.on_bureau))
    if lacking:
        told = ", ".join(LABELS[name] for name in lacking)
        options = " ".join(f"--{name.replace('_', '-')} …" for name in lacking)
        raise InvalidInput(
            f"A notice for {jurisdiction.title} needs {told}.", where=Where(field=lacking[0]),
            remedy=f"Have an administrator set it: plumbline credit notices settings {options}",
            errors=tuple(InvalidInput(f"{LABELS[name]} is not set.", where=Where(field=name)) for name in lacking),
        )  # fmt: skip
    facts = asdict(creditor) | {
        "application": basis.application, "decided_on": day(basis.decided_at), "scored_on": day(basis.scored_at),
        "score": f"{basis.points:.0f}", "lowest": _points(basis.lowest), "highest": _points(basis.highest),
    }  # fmt: skip
    sections = []
    if jurisdiction.score is not None and not basis.by_person:
        sections.append(jurisdiction.score)
    if jurisdiction.bureau is not None and basis.on_bureau:
        sections.append(jurisdiction.bureau)
    sections += jurisdiction.rights
    introduction = jurisdiction.person if basis.by_person else jurisdiction.introduction
    return Notice(
        jurisdiction=jurisdiction.code, version=jurisdiction.version, title=jurisdiction.title, language=jurisdiction.language,
        sources=jurisdiction.sources, creditor=creditor, prediction_id=basis.prediction_id, application=basis.application,
        decided_at=basis.decided_at, issued_at=issued_at, heading=jurisdiction.heading, opening=_filled(jurisdiction.opening, facts),
        introduction=_filled(introduction, facts), reasons=reasons, reasons_version=basis.reasons_version,
        sections=tuple(Section(s.title, _filled(s.text, facts)) for s in sections), on_bureau=basis.on_bureau, points=basis.points,
        lowest=basis.lowest, highest=basis.highest,
    )  # fmt: skip


def as_html(notice: Notice) -> bytes:
    """A page to print: it loads nothing and runs nothing. The same notice gives the same bytes."""
    return _template().render(n=notice, style=STYLE, day=day).encode()


def as_json(notice: Notice) -> bytes:
    """Canonical JSON (RFC 8785)."""
    return canonical.dumps(notice.to_dict())


def day(at: datetime) -> str:
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def _points(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"


def _filled(text: str, facts: dict[str, str]) -> str:
    return text.strip().format_map(facts)


@cache
def _template() -> Template:
    made = Environment(
        loader=PackageLoader("plumbline.credit.notices"), autoescape=select_autoescape(), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return made.get_template("notice.html")

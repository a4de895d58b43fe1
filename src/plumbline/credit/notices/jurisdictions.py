"""What a jurisdiction asks of a notice, as data: clock, number of reasons, texts of reason groups, rights (pure).

Each file in ``texts/`` is one jurisdiction, with the sources its words are taken from and the day from which on they
apply. A text may name facts in braces; which ones it names decides what must be known before a notice can be made.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any, Literal

from plumbline.kernel.errors import InvalidInput, Where

FACTS = frozenset({
    "creditor", "address", "contact", "authority", "bureau", "bureau_address", "application", "decided_on", "score", "lowest",
    "highest", "scored_on",
})  # fmt: skip
"""What a text may name."""
LONGEST = 365


@dataclass(frozen=True, slots=True)
class Creditor:
    """Who sends the notice: name, address, how to reach it, the authority over it, the credit bureau it asks."""

    creditor: str = ""
    address: str = ""
    contact: str = ""
    authority: str = ""
    bureau: str = ""
    bureau_address: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Creditor:
        return cls(**{f.name: str(values.get(f.name) or "").strip() for f in fields(cls)})

    def missing(self, named: Iterable[str]) -> tuple[str, ...]:
        """Of the facts that texts name, those of the creditor that are not known."""
        wanted = set(named)
        return tuple(f.name for f in fields(self) if f.name in wanted and not getattr(self, f.name))


@dataclass(frozen=True, slots=True)
class Section:
    """A titled paragraph of a notice."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class GroupText:
    """How a reason group is told to an applicant; ``bureau``: it rests on what a credit bureau reported."""

    adverse: str = ""
    missing: str = ""
    bureau: bool = False


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """One file of ``texts/``.

    :ivar days: until when a notice must be issued, counted from ``starts``: the application that the model decided, or the
        decision that stands (a person's, where one decided otherwise).
    :ivar warn_days: so many days before the end of the clock it becomes a finding.
    :ivar review_days: until when a review that the applicant asked for must be done.
    :ivar most: principal reasons at most.
    :ivar insufficient: phrases that are no reason ("did not reach the score"); a text with one of them is refused.
    :ivar score: the paragraph that discloses the score, or None.
    :ivar bureau: the paragraph for information from a credit bureau, or None.
    :ivar groups: reason code → its texts here; a group without an entry keeps the texts of the model's own book.
    """

    code: str
    version: str
    title: str
    language: str
    sources: tuple[str, ...]
    days: int
    starts: Literal["application", "decision"]
    warn_days: int
    review_days: int
    most: int
    heading: str
    opening: str
    introduction: str
    person: str
    rights: tuple[Section, ...]
    applies_from: date | None = None
    insufficient: tuple[str, ...] = ()
    score: Section | None = None
    bureau: Section | None = None
    groups: Mapping[str, GroupText] = field(default_factory=dict)

    def due(self, decided_at: datetime, final_at: datetime | None = None, days: int | None = None) -> datetime:
        """The end of the clock.

        :param decided_at: when the model decided about the application.
        :param final_at: when a person decided otherwise.
        :param days: the creditor's own, shorter clock.
        """
        begins = final_at if self.starts == "decision" and final_at is not None else decided_at
        return begins + timedelta(days=min(days or self.days, self.days))

    def is_no_reason(self, text: str) -> str | None:
        """The phrase that makes a text no reason, if there is one."""
        words = " ".join(re.findall(r"[\w-]+", text.lower()))
        return next((phrase for phrase in self.insufficient if phrase in words), None)

    def rests_on_bureau(self, codes: Iterable[str]) -> bool:
        return any(code in self.groups and self.groups[code].bureau for code in codes)

    def named(self, *, bureau: bool) -> frozenset[str]:
        """The facts that the notice's texts name; the bureau's only where its paragraph stands in the notice."""
        texts = [self.opening, self.introduction, self.person, *(s.text for s in self.rights)]
        texts += [self.score.text] if self.score else []
        texts += [self.bureau.text] if self.bureau and bureau else []
        return frozenset({"creditor", "address"}).union(*(_named(text) for text in texts))


@cache
def jurisdictions() -> Mapping[str, Jurisdiction]:
    """Code → jurisdiction, of every file that is shipped."""
    found = {}
    for file in sorted(resources.files(__package__).joinpath("texts").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            one = parse(file.read_text(encoding="utf-8"), file.name)
            found[one.code] = one
    return found


def parse(text: str, file: str = "") -> Jurisdiction:
    """Read one file.

    :raises InvalidInput: it is no TOML, lacks a text, or names a fact that no notice has.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"It is no TOML: {error}.", where=Where(file=file)) from None
    try:
        clock, words = given["clock"], given["text"]
        found = Jurisdiction(
            code=str(given["code"]), version=str(given["version"]), title=str(given["title"]), language=str(given["language"]),
            sources=tuple(given["sources"]), applies_from=given.get("applies_from"), days=_days(clock["days"], file, "clock.days"),
            starts=clock["starts"], warn_days=_days(clock["warn_days"], file, "clock.warn_days"),
            review_days=_days(clock["review_days"], file, "clock.review_days"), most=_days(given["reasons"]["most"], file, "reasons.most"),
            insufficient=tuple(str(p).lower() for p in given["reasons"].get("insufficient", ())), heading=words["heading"],
            opening=words["opening"], introduction=words["introduction"], person=words["person"],
            rights=tuple(Section(**part) for part in given["rights"]), score=_section(given.get("score")), bureau=_section(given.get("bureau")),
            groups={code: GroupText(**part) for code, part in given.get("groups", {}).items()},
        )  # fmt: skip
    except KeyError as error:
        raise InvalidInput(f"{error.args[0]} is missing.", where=Where(file=file, field=str(error.args[0]))) from None
    except TypeError as error:
        raise InvalidInput(f"A part of it has another form: {error}.", where=Where(file=file)) from None
    if found.starts not in ("application", "decision"):
        raise InvalidInput(f"A clock cannot start at '{found.starts}'.", where=Where(file=file, field="clock.starts"),
                           remedy="Write application or decision.")  # fmt: skip
    for fact in sorted(found.named(bureau=True) - FACTS):
        raise InvalidInput(f"A text names '{fact}', which no notice has.", where=Where(file=file, field=fact),
                           remedy=f"Name some of {', '.join(sorted(FACTS))}.")  # fmt: skip
    return found


def _days(value: Any, file: str, name: str) -> int:
    if not isinstance(value, int) or not 1 <= value <= LONGEST:
        raise InvalidInput(f"It must be a whole number from 1 to {LONGEST}.", where=Where(file=file, field=name))
    return value


def _section(part: Mapping[str, str] | None) -> Section | None:
    return None if part is None else Section(**part)


def _named(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)

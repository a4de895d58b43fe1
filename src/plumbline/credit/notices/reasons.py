"""Which reasons may stand in a notice: those that were scored, specific, in words; never a protected attribute (pure).

A reason that counted among the most is never left out to make the others fit (12 CFR 1002.9(b)(2), comment 4): where one
of them cannot be told, no notice is made and the fault names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from plumbline.credit.notices.jurisdictions import Jurisdiction
from plumbline.kernel.errors import InvalidInput, Where

PERSON = "PERSON"
"""The code of a reason that a person wrote."""
SHORTEST, LONGEST = 10, 300


@dataclass(frozen=True, slots=True)
class Principal:
    """One reason as the applicant reads it; ``contribution`` in log-odds, None for a person's own reason."""

    code: str
    text: str
    detail: str = ""
    missing: bool = False
    contribution: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a decision was scored on.

    :ivar reasons: as stored with the decision, the weightiest first: code, contribution, feature, missing, text.
    :ivar described: feature → what it is, in words.
    :ivar protected: reason code → the protected attribute that one of the group's inputs is made from.
    """

    reasons: Sequence[Mapping[str, Any]]
    described: Mapping[str, str] = field(default_factory=dict)
    protected: Mapping[str, str] = field(default_factory=dict)


def principal(grounds: Grounds, jurisdiction: Jurisdiction) -> tuple[Principal, ...]:
    """The principal reasons of a decline, at most the jurisdiction's number.

    :raises InvalidInput: there is none, or one of them cannot be told; each fault says what is missing.
    """
    chosen = [r for r in grounds.reasons if r["contribution"] > 0][: jurisdiction.most]
    if not chosen:
        raise InvalidInput(
            "Nothing that was scored spoke against this application, so it has no reasons to name.", where=Where(field="reasons"),
            remedy="Have a person review the decision: a decline without a reason cannot be told.",
        )  # fmt: skip
    found, faults = [], []
    for reason in chosen:
        told = _told(reason, grounds, jurisdiction)
        if isinstance(told, InvalidInput):
            faults.append(told)
        else:
            found.append(told)
    if faults:
        raise InvalidInput(" ".join(f.detail for f in faults), where=Where(field="reasons"), remedy=faults[0].remedy,
                           errors=tuple(faults))  # fmt: skip
    return tuple(found)


def _told(reason: Mapping[str, Any], grounds: Grounds, jurisdiction: Jurisdiction) -> Principal | InvalidInput:
    code, missing, feature = str(reason["code"]), bool(reason["missing"]), str(reason.get("feature") or "")
    where = Where(field=f"reasons.{code}")
    if code in grounds.protected:
        return InvalidInput(
            f"The reason {code} rests on a protected attribute ({grounds.protected[code]}): it may not be named, and without it the others "
            "would not be true.", where=where, remedy="Have a person review the decision, and train the model without that attribute.",
        )  # fmt: skip
    here = jurisdiction.groups.get(code)
    text = (here.missing if missing else here.adverse) if here else ""
    text = (text or str(reason.get("text") or "")).strip()
    what = "missing information" if missing else "a bad value"
    if not text or text in (code, feature):
        return InvalidInput(f"The reason {code} has no text for {what}.", where=where,
                            remedy=f"Write one in the schema's reasons and train again, or in the texts of {jurisdiction.code}.")  # fmt: skip
    if (phrase := jurisdiction.is_no_reason(text)) is not None:
        return InvalidInput(f"The text of {code}, '{text}', is no reason here: it says '{phrase}'.", where=where,
                            remedy="Say what about the applicant's data spoke against it.")  # fmt: skip
    detail = grounds.described.get(feature, "")
    return Principal(code, text, "" if detail in (feature, text) else detail, missing, float(reason["contribution"]))


def stated(texts: Sequence[str], jurisdiction: Jurisdiction) -> tuple[Principal, ...]:
    """The reasons of a person who declined what the model did not.

    :raises InvalidInput: none or too many, one too short to be specific, or one that is no reason here.
    """
    words = [" ".join(text.split()) for text in texts if text.strip()]
    field_ = Where(field="reasons")
    if not words:
        raise InvalidInput("A person declined this application, so the model's reasons are not those of the decline.", where=field_,
                           remedy="Write the reasons of the person who declined it.")  # fmt: skip
    if len(words) > jurisdiction.most:
        raise InvalidInput(f"There are {len(words)} reasons; {jurisdiction.code} has at most {jurisdiction.most}.", where=field_,
                           remedy="Keep the principal ones.")  # fmt: skip
    for text in words:
        if not SHORTEST <= len(text) <= LONGEST:
            raise InvalidInput(f"A reason has {SHORTEST} to {LONGEST} characters; '{text[:40]}' has {len(text)}.", where=field_,
                               remedy="Say what about the application spoke against it.")  # fmt: skip
        if (phrase := jurisdiction.is_no_reason(text)) is not None:
            raise InvalidInput(f"'{text}' is no reason here: it says '{phrase}'.", where=field_,
                               remedy="Say what about the application spoke against it.")  # fmt: skip
    return tuple(Principal(PERSON, text) for text in words)

"""How the room's values are said to a person (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from plumbline.console import formats
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.kernel.errors import PlumblineError

DECISIONS = {"approve": ("ok", "Approved"), "review": ("warn", "For review"), "decline": ("bad", "Declined")}
"""Decision → kind and word of its chip."""
LEVELS = {"Low": ("ok", "Low risk"), "Medium": ("warn", "Medium risk"), "High": ("bad", "High risk")}
STATES = {"open": ("warn", "Open"), "acknowledged": ("brand", "Taken"), "resolved": ("ok", "Resolved")}
BATCHES = {
    "pending": ("", "Waiting"),
    "processing": ("brand", "Running"),
    "completed": ("ok", "Completed"),
    "failed": ("bad", "Failed"),
}
NOTICES = {
    "none": ("", "None due"),
    "open": ("warn", "Due"),
    "issued": ("ok", "Issued"),
    "late": ("bad", "Issued late"),
    "withdrawn": ("", "Withdrawn"),
}
CHANNELS = {
    "letter": "By letter",
    "email": "By e-mail",
    "portal": "In the portal",
    "branch": "Handed over at the branch",
}
THROUGH = {
    "letter": "By letter",
    "email": "By e-mail",
    "portal": "In the portal",
    "branch": "At the branch",
    "phone": "By telephone",
}
OUTCOMES = {"repaid": ("ok", "Repaid"), "default": ("bad", "Default")}
SOURCES = {"feed": "A feed", "person": "A person", "rule": "A rule", "audit_sample": "An audit sample"}
"""Where it comes from how a loan ended."""
NARROW = 14
MEANINGLESS = ("", "amount", "ratio")
"""Units that say nothing a reader does not see."""
_FLAGS = {
    "unseen": "has a value that the model never met in training",
    "outside": "lies outside of what the model met in training",
    "missing": "is missing, which it never was in training",
}


def lines(text: str) -> list[str]:
    """A value for a narrow column: a short one whole, a long one in lines broken between words."""
    return [text] if len(text) <= NARROW else wrap(text.replace("\u00a0", " "), NARROW)


def short(text: str) -> str:
    """A description without what follows its first comma."""
    return text.partition(", ")[0]


def group(code: str) -> str:
    """A reason group's name, neutral: it may speak for or against."""
    return code.replace("_", " ").capitalize()


def value(found: Any, unit: str = "", digits: int = 4) -> str:
    """A model input as a person reads it: thousands separated, so many significant digits, its unit."""
    if found is None:
        return formats.NOTHING
    if isinstance(found, bool):
        return "yes" if found else "no"
    if not isinstance(found, int | float):
        return str(found)
    if float(found).is_integer() or abs(found) >= 1000:
        text = formats.number(found)
    else:
        text = f"{abs(found):.{digits}g}"
        text = (formats.MINUS if found < 0 else "") + text
    return text if unit in MEANINGLESS else f"{text}\u00a0{unit}"


def flag(text: str, features: Mapping[str, FeatureInfo]) -> str:
    """What is unusual about the data, as a sentence."""
    kind, _, name = text.partition(":")
    if kind == "sparse":
        return "Much less is known of this application than of those the model learnt from."
    if kind == "twin":
        return f"The additive twin of the model puts it at {name}: the two are more than one level apart."
    info = features.get(name)
    known = _FLAGS.get(kind)
    if known is None:
        return text
    span = ""
    if kind == "outside" and info is not None and info.lowest is not None and info.highest is not None:
        span = f" ({value(info.lowest)} to {value(info.highest, info.unit)})"
    return f"{(info.text if info and info.text else name)} {known}{span}."


def told(error: PlumblineError) -> str:
    """What happened and what to do, in one text."""
    return f"{error.detail} {error.remedy or ''}".strip()


def faults(error: PlumblineError) -> Sequence[PlumblineError]:
    return error.errors or (error,)


def act(action: str, details: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    """What an act was, and what is worth knowing of it."""
    match action:
        case "credit.score":
            if details.get("repeated"):
                return "Asked for again", "The stored answer was given."
            word = DECISIONS.get(str(details.get("decision")), ("", "Decided"))[1]
            return "Decision recorded", f"{word}, {str(details.get('risk_level', '')).lower()} risk."
        case "credit.replay":
            if details.get("equal"):
                return "Replayed", "Equal, bit for bit."
            return "Replayed", "It came out otherwise: " + "; ".join(map(str, details.get("differences", []))) + "."
        case "credit.review.take":
            return "Review taken", ""
        case "credit.review.note":
            return "Note added", f"“{new.get('note', '')}”"
        case "credit.review.resolve":
            final = {"approve": "Approved.", "decline": "Declined."}.get(str(new.get("final_decision")), "")
            return "Review resolved", f"{final} “{new.get('cause', '')}”".strip()
        case "credit.review.override":
            final = {"approve": "Approved.", "decline": "Declined."}.get(str(new.get("final_decision")), "")
            return "Decided by a person", f"{final} “{new.get('cause', '')}”".strip()
        case "credit.review.propose":
            final = {"approve": "To be approved.", "decline": "To be declined."}.get(
                str(new.get("proposed_decision")), ""
            )
            return "Override proposed", f"{final} A second person has to confirm. “{new.get('cause', '')}”"
        case "credit.review.request":
            said = f" “{new['words']}”" if new.get("words") else ""
            return "Review asked for by the applicant", f"{THROUGH.get(str(new.get('through')), '')}.{said}"
        case "credit.notice.issue":
            if details.get("repeated"):
                return "Notice asked for again", "The same document was given."
            sent = CHANNELS.get(str(new.get("channel")), "")
            if new.get("state") == "late":
                return "Notice issued late", f"{sent}. “{details.get('cause', '')}”"
            return "Notice issued", f"{sent}, with {formats.plural(len(details.get('reasons', [])), 'reason')}."
        case "credit.notice.take":
            return "Notice taken", ""
        case "credit.notice.note":
            return "Note on the notice added", f"“{new.get('note', '')}”"
        case "credit.batch.submit":
            return "File received", str(new.get("filename", ""))
        case "credit.batch.score":
            return "File scored", f"{int(details.get('scored', 0)):,} of {int(details.get('rows', 0)):,} rows decided."
        case "credit.batch.download":
            return "Results downloaded", str(details.get("file", ""))
        case "credit.batch.resume":
            return "Resumed", ""
        case "outcomes.record":
            return "Outcome corrected" if details.get("corrected") else "Outcome recorded", str(
                details.get("reason", "")
            )
        case "dossier.make":
            return "Dossier made", "Input, reasons, history and proof were put together."
    return action.rpartition(".")[2].replace("_", " ").capitalize(), ""

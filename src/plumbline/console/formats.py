"""How values are written on a page: numbers, times, hashes. Pure; the reader's clock is an argument.

Every function takes ``None`` for a value that is not there and writes an en dash.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from operator import attrgetter, itemgetter
from typing import Any

from markupsafe import Markup, escape

SEVERITIES = ("critical", "high", "medium", "low")
NOTHING = "\u2013"
MINUS = "\u2212"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: float | None, digits: int = 0, *, signed: bool = False) -> str:
    """``-1234.5`` as ``−1,234.5``: thousands separated, a real minus, a sign on gains where ``signed``."""
    if value is None:
        return NOTHING
    text = f"{abs(value):,.{digits}f}"
    if not any(c in "123456789" for c in text):
        return text  # what rounds to zero has no sign
    return (MINUS if value < 0 else "+" if signed else "") + text


def percent(share: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """A share between 0 and 1 as ``14.2 %``."""
    return NOTHING if share is None else f"{number(share * 100, digits, signed=signed)}\u00a0%"


def points(difference: float | None, digits: int = 1) -> str:
    """The difference of two shares as ``+5.2 points``."""
    return NOTHING if difference is None else f"{number(difference * 100, digits, signed=True)}\u00a0points"


def money(amount: float | None, currency: str = "", digits: int = 2) -> str:
    """``18500`` as ``18,500.00``; a currency sign stands before the figure, a code such as EUR after it."""
    if amount is None:
        return NOTHING
    if len(currency) == 1:
        return (MINUS if amount < 0 else "") + currency + number(abs(amount), digits)
    return number(amount, digits) + (f"\u00a0{currency}" if currency else "")


def compact(value: float | None) -> str:
    """At most three significant digits for tiles and axes: ``1.28M``, ``18.2k``, ``640``, ``0.25``."""
    if value is None:
        return NOTHING
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k"), (1.0, "")):
        # 999,500 is already "1M": it would be written "1000k" with three digits
        if abs(value) >= size * 0.9995 or size == 1.0:
            text = f"{value / size:.3g}"
            if "e" in text:
                text = f"{value / size:.6f}".rstrip("0").rstrip(".")
            return text.replace("-", MINUS) + unit
    raise AssertionError


def size(count: int | None) -> str:
    """Bytes as ``4.2 MB`` (powers of 1,000)."""
    if count is None:
        return NOTHING
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f}\u00a0{unit}"
    return f"{count}\u00a0B"


def duration(seconds: float | None) -> str:
    """A span of time: ``38 ms``, ``4.2 s``, ``12 min``, ``3 h 20 min``, ``5 days``."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f}\u00a0ms"
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}\u00a0min"
    if minutes < 60 * 24:
        rest = f" {minutes % 60}\u00a0min" if minutes % 60 else ""
        return f"{minutes // 60}\u00a0h{rest}"
    days = minutes // (60 * 24)
    return f"{days}\u00a0day{'s' if days != 1 else ''}"


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC; a time without a zone was read from a database that keeps UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def day(at: date | None) -> str:
    """``24 Nov 2026``, in UTC."""
    if at is None:
        return NOTHING
    at = in_utc(at) if isinstance(at, datetime) else at
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def when(at: datetime | None, *, seconds: bool = False) -> str:
    """``24 Nov 2026, 09:41 UTC``."""
    if at is None:
        return NOTHING
    at = in_utc(at)
    return f"{day(at)}, {at:%H:%M:%S} UTC" if seconds else f"{day(at)}, {at:%H:%M} UTC"


def held(text: str) -> str:
    """The same with spaces that do not break, but for the one after a comma: a time takes two lines, never five."""
    return text.replace(" ", "\u00a0").replace(",\u00a0", ", ")


def iso(at: date) -> str:
    """The value of a ``datetime`` attribute."""
    if isinstance(at, datetime):
        return f"{in_utc(at):%Y-%m-%dT%H:%M:%SZ}"
    return at.isoformat()


def ago(at: datetime | None, now: datetime) -> str:
    """``2 min ago`` or ``in 18 min`` within 24 hours of ``now``, otherwise the moment itself."""
    if at is None:
        return NOTHING
    seconds = (in_utc(now) - in_utc(at)).total_seconds()
    span = abs(seconds)
    if span >= 24 * 3600:
        return when(at)
    if span < 45:
        return "just now" if seconds >= 0 else "now"
    minutes = max(1, round(span / 60))
    text = f"{minutes}\u00a0min" if minutes < 60 else f"{round(span / 3600)}\u00a0h"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def short_hash(value: str | None) -> str:
    """First eight and last four digits of a hash: ``b41e 77c0 … 5d19``; shorter values stay whole."""
    if not value:
        return NOTHING
    text = value.removeprefix("sha256:")
    return text if len(text) <= 16 else f"{text[:4]} {text[4:8]} \u2026 {text[-4:]}"


def initials(name: str) -> str:
    """At most two letters for a round badge: first and last word of a name, or of an address before its @."""
    words = [w for w in name.partition("@")[0].replace(".", " ").replace("_", " ").split() if w[0].isalnum()]
    letters = [words[0][0], words[-1][0]] if len(words) > 1 else [w[0] for w in words]
    return "".join(letters).upper() or "?"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2,104 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def breakable(name: str) -> Markup:
    """A dotted or underscored field name that may break after its marks, so that it fits a phone."""
    return escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))


def severity_rank(level: str) -> int:
    """0 for critical to 3 for low, 4 for a word that is none of them."""
    return SEVERITIES.index(level) if level in SEVERITIES else len(SEVERITIES)


def by_severity(items: Iterable[Any], attribute: str = "severity") -> list[Any]:
    """Most severe first; the order within a level stays."""

    def rank(item: Any) -> int:
        get = itemgetter(attribute) if isinstance(item, dict) else attrgetter(attribute)
        return severity_rank(get(item))

    return sorted(items, key=rank)


def attributes(pairs: dict[str, Any]) -> Markup:
    """HTML attributes of keyword arguments: ``hx_get="…"`` is ``hx-get``; ``True`` stands bare, ``None`` and ``False`` vanish."""
    out: list[Markup] = []
    for key, value in pairs.items():
        if value is None or value is False:
            continue
        name = key.replace("_", "-").rstrip("-")
        # Names come from templates, never from a reader; the policy of the page forbids these two anyway.
        if name == "style" or name.startswith("on"):
            raise ValueError(f"attribute {name} is forbidden by the content security policy")
        out.append(Markup(" {}").format(name) if value is True else Markup(' {}="{}"').format(name, value))
    return Markup().join(out)

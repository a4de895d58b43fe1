"""What a portfolio is asked to be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from plumbline.kernel.errors import Usage, Where

LEAKS: Final = ("imputed", "post_decision", "renamed_target")
CHUNK: Final = 8_192  # applications drawn from one random stream; part of what a seed means
LONGEST_HISTORY: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of one portfolio; together with the package version they determine every byte of it.

    :param applications: number of applications, 1 or more.
    :param seed: 0 or more.
    :param default_rate: mean true probability of default, in (0, 1).
    :param group_effect: log-odds added for CODE_GENDER = M, a direct penalty.
    :param proxy_effect: employment of CODE_GENDER = M is shorter by the factor ``exp(-proxy_effect)``, nothing else.
    :param drift: the applicants have moved since the reference (see :mod:`.drift`), the mechanism of default has not.
    :param leak: one of ``LEAKS``, or None.
    :param faults: the written application file contains faulty rows (see :mod:`.faults`).
    :param effect_sd: standard deviation of the log-odds over applicants, without ``group_effect``.
    :param months: most months of history per loan, contract or card, 1 … 96.
    """

    applications: int
    seed: int
    default_rate: float = 0.0807
    group_effect: float = 0.0
    proxy_effect: float = 0.0
    drift: bool = False
    leak: str | None = None
    faults: bool = False
    effect_sd: float = 1.15
    months: int = 16

    def __post_init__(self) -> None:
        demands = (
            (self.applications >= 1, "applications", "Ask for at least one application."),
            (self.seed >= 0, "seed", "Give a whole number from 0."),
            (0.0 < self.default_rate < 1.0, "default_rate", "Give a share between 0 and 1, both excluded."),
            (self.effect_sd > 0.0, "effect_sd", "Give a positive number; 1.15 is the default."),
            (1 <= self.months <= LONGEST_HISTORY, "months", f"Give a number from 1 to {LONGEST_HISTORY}."),
            (self.leak is None or self.leak in LEAKS, "leak", f"Choose one of {', '.join(LEAKS)}, or none."),
        )
        for holds, name, remedy in demands:
            if not holds:
                raise Usage(
                    f"{name} = {getattr(self, name)!r} is not possible.", where=Where(field=name), remedy=remedy
                )

    def chunks(self) -> list[int]:
        """Applications per chunk: full ones, then the rest."""
        full, rest = divmod(self.applications, CHUNK)
        return [CHUNK] * full + ([rest] if rest else [])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

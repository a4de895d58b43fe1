"""``report.html``: one page without scripts, under a policy that allows nothing but its own style sheet (pure)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from math import log

from plumbline.kernel.models.divergences import EPSILON
from plumbline.kernel.models.drift import SCALE, SIGNIFICANT, DriftReport, Feature, Severity

WORDS: dict[Severity, str] = {
    "major": "major drift", "moderate": "moderate drift", "stable": "stable", "insufficient_data": "too few rows to tell",
    "no_data": "no rows",
}  # fmt: skip
NAMES = {"psi": "PSI, corrected", "kl_divergence": "KL, corrected", "ks_test": "KS"}
MOST_BINS = 24
"""A category with more levels shows those that add most to PSI; the rest is one line."""
STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;color:#1b2430;background:#fff;margin:2rem auto;max-width:64rem;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .4rem}p{margin:.3rem 0}.s{color:#566170}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}caption{text-align:left;padding:.3rem 0}"
    "th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid #e3e7ec;font-weight:400}thead th{color:#566170}"
    "th:first-child,td:first-child,.w{text-align:left}.b{display:grid;grid-template-columns:20rem 1fr;gap:1.5rem;align-items:start}"
    ".h1{background:#fdf3d8}.h2{background:#f9d9a8}.h3{background:#f0a58f}.major{color:#a3261b;font-weight:600}"
    ".moderate{color:#8a5200;font-weight:600}.r{fill:#b9c4d2}.c{fill:none;stroke:#b3261e;stroke-width:1.5;vector-effect:non-scaling-stroke}"
    ".x{overflow-x:auto;min-width:0}.k{width:auto;margin:.6rem 0;overflow-wrap:anywhere}svg{width:100%;height:9rem;border-bottom:1px solid #8b96a5}a{color:inherit}section{break-inside:avoid}"
    "@media(max-width:44rem){.b{grid-template-columns:minmax(0,1fr)}th,td{padding:.15rem .25rem}td:first-child{overflow-wrap:anywhere}}@media print{body{margin:0;max-width:none}*{print-color-adjust:exact}}"
)
POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"


def page(report: DriftReport, about: Mapping[str, str]) -> str:
    """:param about: lines of the head, name → text; they are escaped here."""
    drifted = [f for f in report.features if f.is_drifted]
    untold = sum(f.severity == "insufficient_data" for f in report.features)
    if not report.current.rows or not report.reference.rows:
        verdict = "No rows to compare"
    elif report.drift_detected:
        verdict = "Drift found"
    else:
        verdict = "Too few rows to tell" if untold * 2 > len(report.features) else "No drift of the whole"
    few = f" {_plural(untold, 'column')} with too few rows to tell." if untold else ""
    head = "".join(f"<tr><th>{escape(name)}<td class=w>{escape(text)}" for name, text in about.items())
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>Data drift: {verdict.lower()}</title><style>{STYLE}</style></head>'
        f"<body><main><h1>{verdict}</h1><p>{len(drifted)} of {_plural(len(report.features), 'column')} drifted. Score "
        f"{report.drift_score:.3f} of 1; from 0.1 on the whole has drifted. {_plural(report.current.rows, 'row')} against "
        f"{report.reference.rows:,} of the reference.{few}</p>{f'<table class=k>{head}</table>' if head else ''}"
        f"{_scores(report)}{_heat(report.features)}"
        f"{''.join(_section(i, f) for i, f in enumerate(report.features))}</main></body></html>\n"
    )


def _scores(report: DriftReport) -> str:
    rows = "".join(
        f"<tr><th scope=row>{NAMES[s.drift_type]}<td>{_figure(s.drift_score)}<td>{s.threshold:g}<td>{'yes' if s.is_drifted else 'no'}"
        for s in report.scores
    )
    return (
        "<h2>Three tests</h2><table><thead><tr><th>Measure<th>Largest significant<th>Drifted from<th>Drifted</thead>"
        f"<tbody>{rows}</table>"
    )


def _heat(features: Sequence[Feature]) -> str:
    rows = "".join(
        f'<tr><td><a href="#f{i}">{escape(f.name)}</a><td class="w {f.severity}">{WORDS[f.severity]}{_cells(f)}'
        for i, f in enumerate(features)
    )
    return (
        "<h2>Columns</h2><p class=s>Worst first. A cell is tinted from half of what a moderate shift gives, darker from "
        "moderate, darkest from major. Wasserstein is for information. "
        "In the pictures, bars are the reference and the line is now.</p><div class=x><table><thead><tr><th>Column<th class=w>Verdict"
        f"<th>PSI<th>corrected<th>q<th>KL<th>JS<th>KS<th>V<th>Wasserstein<th>missing</thead><tbody>{rows}</table></div>"
    )


def _cells(f: Feature) -> str:
    d = f.measures
    if d is None:
        return "<td>–" * 9
    tinted = [
        ("psi", d.psi), ("psi", f.corrected), ("", f.q), ("kl", d.kl), ("js", d.js), ("ks", f.ks), ("cramers_v", d.cramers_v),
        ("wasserstein", f.wasserstein),
    ]  # fmt: skip
    return "".join(_cell(name, value) for name, value in tinted) + f"<td>{_missing(f)}"


def _cell(name: str, value: float | None) -> str:
    if value is None or not name:
        return f"<td>{_figure(value)}"
    moderate, major = SCALE[name]
    step = (value >= moderate / 2) + (value >= moderate) + (value >= major)
    return f"<td{f' class=h{step}' if step else ''}>{_figure(value)}"


def _missing(f: Feature) -> str:
    was, now = f.missing
    return "–" if was is None or now is None else f"{_percent(was)} → {_percent(now)}"


def _section(i: int, f: Feature) -> str:
    facts = [f'<span class="{f.severity}">{WORDS[f.severity].capitalize()}</span>']
    if (d := f.measures) is not None:
        facts.append(f"PSI {_figure(d.psi)}, of which {_figure(d.noise)} is noise")
        facts.append(f"q {_figure(f.q)}, {'significant' if f.q < SIGNIFICANT else 'not significant'}")
    if f.ks is not None and f.ks_q is not None:
        facts.append(f"KS {_figure(f.ks)}{'' if f.ks_exact else ' on the grid'}, q {_figure(f.ks_q)}")
    if f.missing_interval is not None and f.missing != (0, 0):
        low, high = f.missing_interval
        facts.append(f"missing {_missing(f)} (difference {_points(low)} to {_points(high)})")
    if f.outside:
        facts.append(f"{_percent(f.outside)} outside the reference's range")
    if f.new_rows:
        named = ", ".join(f"{escape(level)} ({rows:,})" for level, rows in f.new_levels[:5])
        facts.append(f"{_plural(f.new_rows, 'row')} with an unseen level{f': {named}' if named else ''}")
    if f.vanished_levels:
        facts.append("gone: " + ", ".join(escape(level) for level, _ in f.vanished_levels[:5]))
    return f"<section id=f{i}><h2>{escape(f.name)}</h2><p>{'; '.join(facts)}.</p>{_bins(f)}</section>"


def _bins(f: Feature) -> str:
    if f.measures is None:
        return ""
    rows = [(label, a, b, _added(a / f.n, b / f.m)) for label, a, b in zip(f.labels, f.reference, f.current, strict=True) if a or b]  # fmt: skip
    if len(rows) > MOST_BINS:
        told = {id(row) for row in sorted(rows, key=lambda row: -row[3])[: MOST_BINS - 1]}
        rest = [row for row in rows if id(row) not in told]
        rows = [row for row in rows if id(row) in told]
        rows.append((f"{len(rest)} more", sum(r[1] for r in rest), sum(r[2] for r in rest), sum(r[3] for r in rest)))
    shares = [(a / f.n, b / f.m) for _, a, b, _ in rows]
    table = "".join(
        f"<tr><td>{escape(label)}<td>{a:,}<td>{_percent(a / f.n)}<td>{b:,}<td>{_percent(b / f.m)}<td>{_figure(added)}"
        for label, a, b, added in rows
    )
    widest = max(range(len(rows)), key=lambda k: rows[k][3])
    label = f"{f.name}: share of rows in each bin; {rows[widest][0]} went from {_percent(shares[widest][0])} to {_percent(shares[widest][1])}."
    return (
        f"<div class=b>{_picture(label, shares)}<table><thead><tr><th>Bin<th>Reference<th>%<th>Now<th>%<th>adds to PSI</thead>"
        f"<tbody>{table}</table></div>"
    )


def _picture(label: str, shares: Sequence[tuple[float, float]]) -> str:
    """Filled: the reference. Line: now. Units of a thousandth of the tallest bar, ten wide a bin."""
    top = max(max(pair) for pair in shares)
    was, now = "", "M0 100"
    for k, (a, b) in enumerate(shares):
        was += f"M{k * 10 + 1} 100v-{round(a / top * 95)}h8V100z"
        now += f"V{100 - round(b / top * 95)}h10"
    return (
        f'<svg viewBox="0 0 {len(shares) * 10} 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<path class=r d="{was}"/><path class=c d="{now}V100"/></svg>'
    )


def _added(p: float, q: float) -> float:
    """What a bin adds to PSI, before shares are renormalised for floored bins."""
    p, q = max(p, EPSILON), max(q, EPSILON)
    return (q - p) * log(q / p)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _figure(value: float | None) -> str:
    """A number as HTML."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return "&lt; 0.0001" if abs(value) < 1e-4 else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _points(share: float) -> str:
    return f"{share * 100:+.1f} points"

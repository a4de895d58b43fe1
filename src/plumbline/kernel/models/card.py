"""The model card: what a version is, what it was made from, how it was measured, and what nobody has measured (pure).

After Mitchell et al., Model Cards for Model Reporting (2019). One page without scripts, out of the record alone: what the
record does not hold is "not stated", never guessed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any

from plumbline.kernel import clock
from plumbline.kernel.models.cohorts import PREFIX
from plumbline.kernel.models.service.registry import Detail, Measured, newest_of_each

FORM = "plumbline-model-card-1"
NOT_STATED = "not stated"
STATED = ("purpose", "owner", "not_for")
"""What only a person can say of a version: who trains one may, and the room notes it under ``stated``."""
STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;color:#1b2430;background:#fff;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.8rem 0 .4rem}p{margin:.3rem 0}.s{color:#566170}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}th,td{padding:.2rem .6rem .2rem 0;text-align:left;"
    "border-bottom:1px solid #e3e7ec;font-weight:400;vertical-align:top;overflow-wrap:anywhere}thead th{color:#566170}"
    "td.n,th.n{text-align:right}section{break-inside:avoid}.x{overflow-x:auto}@media print{body{margin:0;max-width:none}}"
)
POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"


def card(detail: Detail, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """The card as plain values.

    :param reference: the profile that later rows are compared with: id, rows, sha256; None without one.
    """
    model, extra = detail.model, detail.model.extra
    said = extra.get("stated") or {}
    evaluations = newest_of_each(detail.evaluations)
    importance = (
        next((m.evaluation.feature_importance for m in evaluations if m.evaluation.feature_importance), None) or {}
    )
    groups = next(
        (m.evaluation.extra["fairness"] for m in detail.evaluations if m.evaluation.extra.get("fairness")), None
    )
    return {
        "form": FORM,
        "model": {
            "id": str(model.id), "name": model.name, "version": model.version, "kind": model.kind, "type": model.model_type,
            "framework": model.framework, "sha256": extra["sha256"], "size": extra["size"], "live": model.is_active,
            "state": "damaged" if detail.damaged else extra.get("artifact_state", "live"),
        },
        "stated": {name: said.get(name) or NOT_STATED for name in STATED},
        "training": {
            "at": clock.text(model.trained_at), "by": _person(detail, extra.get("trained_by")),
            **{name: extra.get(name) if extra.get(name) is not None else NOT_STATED for name in ("schema", "source", "seed")},
            **{name: (extra.get("training") or {}).get(name, NOT_STATED) for name in ("rows", "events", "sha256", "protocol")},
        },
        "features": [
            {"name": f["name"], "type": f.get("dtype") or NOT_STATED, "text": f.get("text") or NOT_STATED, "share": importance.get(f["name"])}
            for f in sorted(model.features, key=lambda f: -(importance.get(f["name"]) or 0.0))
        ],
        "threshold": extra.get("threshold", NOT_STATED), "policy": extra.get("policy") or NOT_STATED,
        "evaluations": [_measured(one) for one in evaluations],
        "subgroups": NOT_STATED if groups is None else {
            "verdict": groups["verdict"], "limit": groups["limit"], "rows": groups["rows"], "statement": groups["statement"],
            "groups": [{name: g[name] for name in ("group", "rows", "verdict", "ratio")} for g in groups["groups"]],
        },
        "leaks": NOT_STATED if extra.get("leaks") is None else {
            "columns": extra["leaks"]["columns"], "alarms": [a["column"] for a in extra["leaks"]["alarms"]], "accepted": extra["leaks"]["accepted"],
        },
        "never_measured": _never(evaluations, groups, reference),
        "drift_reference": dict(reference) if reference else NOT_STATED,
        "history": [
            {"at": clock.text(e.timestamp), "action": e.action, "success": e.success, "by": _person(detail, e.user_id) if e.user_id else e.actor_id,
             "reason": (e.details or {}).get("reason") if isinstance(e.details, dict) else None,
             "gates": (e.details or {}).get("gates") if isinstance(e.details, dict) else None}
            for e in detail.history
        ],
        "warnings": list(extra.get("warnings") or []),
    }  # fmt: skip


def _person(detail: Detail, key: Any) -> str:
    if key is None:
        return NOT_STATED
    return next((name for known, name in detail.people.items() if str(known) == str(key)), str(key))


def _measured(one: Measured) -> dict[str, Any]:
    extra = one.evaluation.extra
    return {
        "dataset": one.evaluation.dataset, "rows": one.evaluation.sample_count, "on": str(one.evaluation.evaluation_date),
        "figures": {name: {"value": value, "interval": extra.get("intervals", {}).get(name)} for name, value in sorted(one.metrics.items())},
        "undefined": dict(extra.get("undefined", {})),
    }  # fmt: skip


def _never(evaluations: Sequence[Measured], groups: Any, reference: Any) -> list[str]:
    datasets = [one.evaluation.dataset for one in evaluations]
    missing = []
    if "test" not in datasets:
        missing.append("Test rows that neither training nor the choice of the threshold saw.")
    if not any(
        one.evaluation.dataset.startswith(PREFIX) and one.evaluation.extra.get("verdict") == "measured"
        for one in evaluations
    ):
        missing.append("Its own decisions: no cohort of them could be judged.")
    if groups is None:
        missing.append("How groups of people fare.")
    if reference is None:
        missing.append("Drift of its inputs: it was registered without a reference.")
    if not any(name.startswith("comparison:") for name in datasets):
        missing.append("Another version on the same rows.")
    return missing


def to_html(told: Mapping[str, Any]) -> str:
    """The card as one page for print, under a policy that allows nothing but its own style sheet."""
    model = told["model"]
    title = escape(f"{model['name']} {model['version']}")
    parts = [
        _facts("What it is", model | told["stated"]), _facts("What it was made from", told["training"]),
        _table("How good it is", ("Dataset", "Rows", "Figure", "Value", "95 % interval"), [
            (e["dataset"], f"{e['rows']:,}", name, _figure(f["value"]), " to ".join(map(_figure, f["interval"])) if f["interval"] else "–")
            for e in told["evaluations"] for name, f in e["figures"].items()
        ], right=(1, 3, 4)),
        _table("What has no figure, and why", ("Dataset", "Figure", "Why"),
               [(e["dataset"], name, why) for e in told["evaluations"] for name, why in sorted(e["undefined"].items())]),
        _list("What nobody has measured", told["never_measured"]), _groups(told["subgroups"]),
        _facts("Threshold and policy", {"threshold": told["threshold"]} | (told["policy"] if isinstance(told["policy"], dict) else {})),
        _facts("Leak check", told["leaks"] if isinstance(told["leaks"], dict) else {"leak check": told["leaks"]}),
        _facts("Drift reference", told["drift_reference"] if isinstance(told["drift_reference"], dict) else {"reference": told["drift_reference"]}),
        _table("Inputs", ("Input", "Type", "What it is", "Share"), [
            (f["name"], f["type"], f["text"], "–" if f["share"] is None else f"{f['share']:.1%}") for f in told["features"]
        ], right=(3,)),
        _table("Who did what", ("When", "What", "By", "Reason"), [
            (e["at"], e["action"] + ("" if e["success"] else ", refused"), e["by"] or NOT_STATED, e["reason"] or "–") for e in told["history"]
        ]),
        _list("Warnings", told["warnings"]),
    ]  # fmt: skip
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>Model card: {title}</title><style>{STYLE}</style></head>'
        f"<body><main><h1>{title}</h1><p class=s>Model card, from the record.</p>{''.join(parts)}</main></body></html>\n"
    )


def _groups(told: Any) -> str:
    if not isinstance(told, dict):
        return _list("How groups fare", [f"It is {told}."])
    rows = [(g["group"], f"{g['rows']:,}", _figure(g["ratio"]["value"]), f"{_figure(g['ratio']['low'])} to {_figure(g['ratio']['high'])}", g["verdict"])
            for g in told["groups"] if g["ratio"]]  # fmt: skip
    head = ("Group", "Rows", "Approval-rate ratio", "95 % interval", f"Against {told['limit']:g}")
    return _table("How groups fare", head, rows, right=(1, 2, 3)) + f"<p class=s>{escape(told['statement'])}</p>"


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    return _table(title, (), [(name.replace("_", " "), _said(value)) for name, value in facts.items()])


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_said(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value)) or "none"
    if isinstance(value, float):
        return _figure(value)
    return "none" if value is None else str(value)


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}" for line in lines)
    return f"<section><h2>{escape(title)}</h2><ul>{items}</ul></section>" if lines else ""


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    if not rows:
        return ""
    side = ["n" if i in right else "w" for i in range(len(rows[0]))]
    top = "".join(f"<th class={side[i]} scope=col>{escape(name)}" for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td class={side[i]}>{escape(cell)}" for i, cell in enumerate(row)) for row in rows
    )
    thead = f"<thead><tr>{top}</thead>" if head else ""
    return f"<section><h2>{escape(title)}</h2><div class=x><table>{thead}<tbody>{body}</table></div></section>"


def _figure(value: Any) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,}" if float(value).is_integer() else f"{value:.4f}"

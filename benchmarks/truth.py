"""The generator's truth: whether the model's reasons are the causes, and what the linked tables are worth."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.harness import Bench
from benchmarks.material import Material, labels
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.modelling import champion
from plumbline.credit.modelling.artifact import members_of
from plumbline.credit.modelling.policy import DECISIONS
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.training import train
from plumbline.credit.synthetic import EFFECTS
from plumbline.kernel.models import metrics

REASON_OF = {
    "external_scores": "EXTERNAL_SCORE",
    "employment_length": "EMPLOYMENT",
    "annuity_burden": "LOAN_BURDEN",
    "late_instalments": "LATE_PAYMENTS",
    "card_use": "CARD_USE",
    "refused_share": "PREVIOUS_APPLICATIONS",
    "bureau_debt": "BUREAU_DEBT",
}
"""Under which reason of the schema an applicant is told of each cause."""


def causes(bench: Bench, material: Material) -> None:
    """Contributions of the reason groups and first reasons, beside the effects by which the outcomes were drawn."""
    scorer, judged = material.scorer, material.judged
    scored = scorer.score(judged.tables)
    true = {effect.name: judged.truth[effect.name].to_numpy() for effect in EFFECTS}
    for name, effect in true.items():
        code = REASON_OF[name]
        given = scored.groups[scored.reason_codes.index(code)]
        bench.least(f"correlation of {code} with the true effect", float(np.corrcoef(given, effect)[0, 1]), 0.85,
                    note=f"{name}: sd {effect.std():.2f} true, {given.std():.2f} given (log-odds)")  # fmt: skip
    codes = [REASON_OF[name] for name in true]
    largest = np.argsort(-np.column_stack(list(true.values())), axis=1)[:, :2]
    declined = np.flatnonzero(scored.decision == DECISIONS.index("decline"))
    told = [scored.reason_codes[reason] if reason >= 0 else None for reason in scored.reasons[declined, 0]]
    hits = [
        reason in (codes[first], codes[second])
        for reason, (first, second) in zip(told, largest[declined].tolist(), strict=True)
    ]
    bench.least("declined whose first reason is one of the two largest true causes", float(np.mean(hits)), 0.9,
                note=f"{len(declined):,} declined of {len(scored.probability):,}")  # fmt: skip
    _idle(bench, material)


def _idle(bench: Bench, material: Material) -> None:
    """How much is attributed to features none of whose columns is in any effect, by the usual measure and by two others.

    Some of them follow a cause (a client who pays one lender late pays the next one late), most are noise: their small
    contributions of either sign cancel in an applicant, which the mean of absolute values does not show.
    """
    scorer = material.scorer
    matrix = scorer.transformer.transform(material.judged.tables)
    given = scorer.contributions(matrix).contributions
    columns = {column for effect in EFFECTS for column in effect.columns}
    idle = np.array([not feature.lineage & columns for feature in scorer.features])
    size, variance = np.abs(given).mean(axis=1), given.var(axis=1)
    bench.most("attribution to columns without effect", float(size[idle].sum() / size.sum()), 0.1,
               note=f"{idle.sum()} of {len(idle)} features; share of the mean absolute contribution")  # fmt: skip
    netted = float(np.abs(given[idle].sum(axis=0)).mean())
    bench.info("the same, added up for each applicant first", netted / (netted + float(size[~idle].sum())))
    bench.info("the same, as a share of the variance", float(variance[idle].sum() / variance.sum()))


def linked_tables(bench: Bench, material: Material) -> None:
    """The same training on the application table alone, judged on the same applications."""
    schema, name = material.one_table, material.schema.main.name

    def main(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        return {name: tables[name]}

    transformer = Transformer.fit(main(material.learnt.tables), schema)
    trained = train(
        transformer.transform(main(material.learnt.tables)),
        labels(material.learnt),
        settings=champion.Settings(),
        reasons=schema.reasons,
    )
    alone = Scorer.load(members_of(trained, transformer=transformer.to_dict(), schema=schema.to_dict()))
    y = labels(material.judged)
    seven = metrics.roc_auc(y, material.scorer.score(material.judged.tables).probability)
    one = metrics.roc_auc(y, alone.score(main(material.judged.tables)).probability)
    bench.least("AUC of seven tables less that of the application alone", seven - one, 0.02,
                note=f"{seven:.4f} and {one:.4f}")  # fmt: skip

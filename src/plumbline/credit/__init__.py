"""Credit scoring: an application in, a probability of default, a decision and its true reasons out."""

from plumbline.kernel.room import Entry, Room

room = Room(
    name="credit",
    title="Credit",
    help="Credit scoring: train, score, explain, replay.",
    tables="plumbline.credit.tables",
    migrations="plumbline.credit.migrations",
    commands={
        "credit": ("plumbline.credit.cli:credit", "Credit scoring: train, score one or a file, explain, replay.")
    },
    router="plumbline.credit.api:router",
    pages="plumbline.credit.pages:router",
    templates="plumbline.credit",
    entries=(Entry("credit", "Credit", "/credit", "credit", right="credit.read"),),
    jobs={"credit.batch": "plumbline.credit.jobs:score_batch", "credit.notices": "plumbline.credit.jobs:watch_notices"},
    schedules={"credit notices": ("23 5 * * *", "credit.notices")},
    model_kinds={"credit": "plumbline.credit.modelling.scorer:Scorer.load"},
    outcomes={"credit": "plumbline.credit.service.outcomes:KIND"},
    model_pages={
        "credit": (("How groups fare", "/credit/models/{id}/fairness"), ("Scorecard", "/credit/models/{id}/scorecard"))
    },
    promotions={"credit": "plumbline.credit.service.promotion:gates"},
    findings="plumbline.credit.service:triage",
    erasable="plumbline.credit.service.erasing:erasable",
    rights={
        "credit.read": ("viewer", "analyst", "admin"),
        "credit.score": ("analyst", "admin"),
        "credit.batch": ("analyst", "admin"),
        "credit.outcomes": ("analyst", "admin"),
        "credit.train": ("analyst", "admin"),
        "credit.approve": ("analyst", "admin"),
        "credit.notice": ("analyst", "admin"),
    },
    sources="plumbline.credit.service.sources:SOURCES",
    dossiers={"credit": "plumbline.credit.dossier:tell"},
    sdk="plumbline.credit.sdk:Credit",
    demonstration="plumbline.credit.demonstration:chapter",
)

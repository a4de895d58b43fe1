"""Adverse-action notices: what a jurisdiction asks for as data, which reasons may stand in one, and the document (pure)."""

from plumbline.credit.notices.document import Basis, Notice, as_html, as_json, compose
from plumbline.credit.notices.jurisdictions import Creditor, Jurisdiction, jurisdictions
from plumbline.credit.notices.reasons import Grounds, Principal, principal, stated

__all__ = [
    "Basis",
    "Creditor",
    "Grounds",
    "Jurisdiction",
    "Notice",
    "Principal",
    "as_html",
    "as_json",
    "compose",
    "jurisdictions",
    "principal",
    "stated",
]

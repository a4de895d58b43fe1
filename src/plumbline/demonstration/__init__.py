"""One firm, built through the product's own services and never by writing tables. Everything in it is synthetic."""

from plumbline.demonstration.firm import Built, Chapter, HistoryClock, build, firm_context

__all__ = ["Built", "Chapter", "HistoryClock", "build", "firm_context"]

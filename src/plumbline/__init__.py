"""Plumbline: the system of record for automated decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plumbline.sdk import Workspace as Workspace

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    """``plumbline.Workspace`` without loading the database for who only wants the version."""
    if name == "Workspace":
        from plumbline.sdk import Workspace

        return Workspace
    raise AttributeError(name)

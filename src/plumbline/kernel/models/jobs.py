"""Background work of the registry."""

from __future__ import annotations

from plumbline.kernel.models.service.drift import perform

drift = perform

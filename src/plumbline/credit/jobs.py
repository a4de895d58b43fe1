"""Background work of the room."""

from __future__ import annotations

from plumbline.credit.service.batches import perform_batch

score_batch = perform_batch

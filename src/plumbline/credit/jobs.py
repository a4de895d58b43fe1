"""Background work of the room."""

from __future__ import annotations

from plumbline.credit.service.batches import perform_batch
from plumbline.credit.service.watching import watch

score_batch = perform_batch
watch_notices = watch

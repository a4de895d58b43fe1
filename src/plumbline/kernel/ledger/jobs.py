"""What the ledger does by itself: seal every minute and send checkpoints out, verify what is new daily and all monthly."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from plumbline.kernel.errors import PlumblineError

if TYPE_CHECKING:
    from plumbline.kernel.installation import Installation
    from plumbline.kernel.jobs.queue import Claim

_log = logging.getLogger("plumbline.ledger")


def seal(installation: Installation, claim: Claim) -> None:
    """Leaves neither row nor entry: the checkpoint is its record, and an entry of its own would never let it come to rest.

    What hinders it is told by the ledger's page and by health, and tried again a minute later.
    """
    from plumbline.kernel.ledger.service import delivering, sealing

    try:
        sealing.seal(installation, claim.organization_id)
    except PlumblineError as error:
        _log.error("the ledger of %s cannot be sealed: %s", claim.organization_id, error)
    delivering.deliver(installation, claim.organization_id)
    claim.leave()


def verify(installation: Installation, claim: Claim) -> None:
    """What came since the last sound verification, everything where its checkpoint was edited; ``whole``: the decisions too."""
    from plumbline.kernel.ledger.service import checking, delivering

    context = claim.context(installation.clock())
    whole = claim.kind.endswith(".whole")
    since = None if whole else checking.last_sound(installation, claim.organization_id)
    kept = delivering.kept_outside(installation, claim.organization_id)
    reached = [claim.done]

    def told(done: int, total: int) -> None:
        if total and done - reached[0] >= max(1, total // 100):
            with claim.chunk(done - reached[0], total=total):
                pass
            reached[0] = done

    checking.check(
        installation,
        context,
        trusted=kept,
        since=since,
        records=whole and claim.arguments.get("records", True),
        told=told,
    )

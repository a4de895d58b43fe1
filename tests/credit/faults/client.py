"""A process of its own that decides applications of the portfolio and tells what it was answered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from uuid import UUID

from plumbline.credit import service
from plumbline.kernel.identity.service import system_context
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings


def main(url: str, home: str, artifacts: str, organization: str, applications: str) -> None:
    installation = Installation.open(Settings(home=Path(home), database_url=url, artifacts=artifacts))
    print("ready", flush=True)
    sys.stdin.readline()  # both begin when both are ready
    told = {}
    for application in json.loads(Path(applications).read_text()):
        context = system_context(installation, UUID(organization), actor="client")
        answer = service.score(installation, context, application)
        told[str(answer.id)] = answer.probability
    installation.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

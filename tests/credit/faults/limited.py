"""A process that performs one job and may write no file larger than it is told."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from uuid import UUID

from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.settings import Settings


def main(url: str, home: str, artifacts: str, job: str, largest: str) -> None:
    installation = Installation.open(Settings(home=Path(home), database_url=url, artifacts=artifacts))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), resource.RLIM_INFINITY))
    told = {"error": None, "text": ""}
    try:
        run_inline(installation, UUID(job))
    except PlumblineError as error:
        told = {"error": type(error).__name__, "text": str(error)}
    installation.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

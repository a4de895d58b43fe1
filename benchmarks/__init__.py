"""Figures of the product, each beside its gate, measured on the machine at hand: ``python3 dev.py bench``.

One thread for everything that is compared: the figures are CPU-seconds, and threads of a pool would add their spinning.
"""

from __future__ import annotations

import os

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

"""Credit: every figure beside its gate. ``python3 dev.py bench credit [--quick] [--only GROUP] [--json FILE]``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import credit_peers, engines, fairness, proofs, quality, recorded, speed, truth
from benchmarks.harness import Bench
from benchmarks.house import House
from benchmarks.material import Material


def main(arguments: Sequence[str] | None = None) -> int:
    bench = Bench("credit", arguments)
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as temporary:
        material = Material(Path(temporary), quick=bench.quick)
        bench.measure("quality", lambda: quality.run(bench))
        bench.measure("generated", lambda: generated(bench, material))
        bench.measure("leaks", lambda: fairness.leaks(bench, material))
        bench.measure("twin", lambda: fairness.twin(bench, material))
        bench.measure("groups", lambda: fairness.groups(bench, material))
        bench.measure("reasons", lambda: proofs.reasons(bench, material))
        bench.measure("invariance", lambda: invariance(bench, material))
        bench.measure("latency", lambda: speed.latency(bench, material))
        bench.measure("aggregates", lambda: speed.aggregates(bench, material))
        bench.measure("peers", lambda: credit_peers.run(bench, material))
        bench.measure("generator", lambda: speed.generator(bench, material))
        bench.measure("training", lambda: speed.training(bench, material))
        bench.measure("batch", lambda: speed.batch(bench, material))
        bench.measure("durable batch", lambda: recorded.batches(bench, material, pure(bench)))
        bench.measure("recorded", lambda: in_a_house(bench, material))
    return bench.close()


def generated(bench: Bench, material: Material) -> None:
    proofs.quality_on_generated(bench, material)
    truth.causes(bench, material)
    truth.linked_tables(bench, material)


def invariance(bench: Bench, material: Material) -> None:
    proofs.invariance(bench, material)
    proofs.ways(bench, material)
    proofs.made_twice(bench, material)
    engines.python_and_sql(bench, material)


def pure(bench: Bench) -> float | None:
    """The large file without a database, if this run has measured it."""
    found = [row.measured for row in bench.rows if row.group == "batch" and row.unit == "CPU-s"]
    return found[0] if found and isinstance(found[0], float) else None


def in_a_house(bench: Bench, material: Material) -> None:
    house = House(material.folder / "house")
    try:
        house.take_model(material)
        recorded.replay(bench, house, material)
        recorded.api(bench, house, material)
    finally:
        house.close()


if __name__ == "__main__":
    sys.exit(main())

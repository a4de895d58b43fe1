"""What the drift benchmark measures, each in a fresh process: ``python drift_work.py TASK REFERENCE CURRENT``.

Runs with Plumbline's own Python and with those of the peers' environments, so it imports nothing at its head but the
standard library. A task imports first; what is measured begins after that. The answer is one JSON line.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path

Answer = dict


def _status(name: str) -> float:
    """Megabytes of a line of /proc/self/status; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def _measured(work, **more) -> Answer:
    """CPU of all threads, and how far memory rose above what stood after the imports."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
    base = _status("VmRSS")
    begun, wall = time.process_time(), time.perf_counter()
    result = work()
    cpu = time.process_time() - begun
    return {
        "cpu": cpu,
        "wall": time.perf_counter() - wall,
        "megabytes": _status("VmHWM") - base,
        **more,
        **(result or {}),
    }


# ours


def ours(reference: str, current: str) -> Answer:
    import pyarrow.parquet  # noqa: F401 - loaded on first use otherwise

    from plumbline.kernel.models.columns import ParquetColumns, inferred
    from plumbline.kernel.models.drift import compare_columns

    found = {}

    def work() -> None:
        report = compare_columns(ParquetColumns(reference), ParquetColumns(current), inferred(reference))
        found["drifted"] = [f.name for f in report.features if f.is_drifted]
        found["ks"] = {f.name: f.ks for f in report.features}

    return {**_measured(work), **found}


def ours_stored(reference: str, current: str) -> Answer:
    """A file against a stored reference; then the report of 30 stored days, and the two files of a report."""
    from plumbline.kernel import canonical
    from plumbline.kernel.models.columns import ParquetColumns, inferred
    from plumbline.kernel.models.drift import compare
    from plumbline.kernel.models.drift_report import to_html, to_json, verify
    from plumbline.kernel.models.profiles import Grid, Profile, count
    from plumbline.kernel.models.profiles import reference as profile

    base = profile(reference, inferred(reference))
    grid, stored = canonical.dumps(base.grid.to_dict()), canonical.dumps(base.to_dict())
    kept = {}

    def work() -> None:
        held = Grid.from_dict(canonical.loads(grid))
        old = Profile.from_dict(canonical.loads(stored), held)
        kept["report"] = compare(old, count(held, ParquetColumns(current)))

    answer = _measured(work)
    report = kept["report"]
    day = canonical.dumps(report.current.to_dict())

    def window() -> None:
        total = Profile.empty(base.grid)
        for _ in range(30):
            total = total + Profile.from_dict(canonical.loads(day), base.grid)
        compare(base, total)

    answer["window"] = min(_measured(window)["cpu"] for _ in range(5))
    answer["profile"], answer["grid"] = len(day), len(grid)
    answer["ks"] = {f.name: f.ks for f in report.features}
    answer["html_cpu"] = min(_measured(lambda: kept.update(html=to_html(report)) or {})["cpu"] for _ in range(5))
    answer["html"], answer["script"] = len(kept["html"]), b"<script" in kept["html"]
    body = to_json(report)
    answer["json"], answer["faults"] = len(body), verify(body)
    answer["verify"] = _measured(lambda: {"faults": verify(body)})["cpu"]
    return answer


def ours_sum(reference: str, current: str) -> Answer:
    """Is the sum of the row groups' profiles the profile of the file?"""
    import pyarrow.parquet as pq

    from plumbline.kernel.models.columns import inferred
    from plumbline.kernel.models.profiles import Profile, count
    from plumbline.kernel.models.profiles import reference as profile

    base = profile(reference, inferred(reference))
    total = Profile.empty(base.grid)
    file = pq.ParquetFile(current)
    for i in range(file.num_row_groups):
        total = total + count(base.grid, file.read_row_group(i))
    return {"equal": total == count(base.grid, current)}


# peers


def scipy(reference: str, current: str) -> Answer:
    """ks_2samp of each number, chi2_contingency of each text, straight from Arrow."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from scipy import stats

    found = {}

    def work() -> None:
        a, b = pq.ParquetFile(reference), pq.ParquetFile(current)
        for name in a.schema_arrow.names:
            x, y = a.read(columns=[name]).column(0).drop_null(), b.read(columns=[name]).column(0).drop_null()
            if name[0] == "n":
                found[name] = float(stats.ks_2samp(x.to_numpy(), y.to_numpy(), method="asymp").statistic)
            else:
                tallies = [{v["values"]: v["counts"] for v in pc.value_counts(side).to_pylist()} for side in (x, y)]
                levels = sorted({*tallies[0], *tallies[1]})
                stats.chi2_contingency(np.array([[t.get(level, 0) for level in levels] for t in tallies]))

    return {**_measured(work), "ks": found}


def _evidently(reference: str, current: str, methods: list, html: bool = False) -> Answer:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    kept = {}

    def work() -> None:
        presets = [DataDriftPreset(**({"method": m} if isinstance(m, str) else m)) for m in methods]
        kept["run"] = Report(presets).run(pd.read_parquet(current), pd.read_parquet(reference))
        kept["run"].dict()

    answer = _measured(work)
    if html:
        path = current + ".evidently.html"
        answer["html_cpu"] = _measured(lambda: kept["run"].save_html(path))["cpu"]
        answer["html"] = Path(path).stat().st_size
        Path(path).unlink()
    return answer


def evidently_psi(reference: str, current: str) -> Answer:
    return _evidently(reference, current, ["psi"], html=True)


def evidently_three(reference: str, current: str) -> Answer:
    return _evidently(reference, current, ["psi", {"num_method": "ks", "cat_method": "chisquare"}, "kl_div"])


def evidently_default(reference: str, current: str) -> Answer:
    return _evidently(reference, current, [{}])


def _nannyml(reference: str, current: str, number: str, text: str) -> Answer:
    import nannyml
    import pandas as pd

    def work() -> None:
        before, now = pd.read_parquet(reference), pd.read_parquet(current)
        calculator = nannyml.UnivariateDriftCalculator(column_names=list(before.columns), continuous_methods=[number],
                                                       categorical_methods=[text], chunk_number=1)  # fmt: skip
        calculator.fit(before)
        calculator.calculate(now).to_df()

    return _measured(work)


def nannyml_js(reference: str, current: str) -> Answer:
    return _nannyml(reference, current, "jensen_shannon", "jensen_shannon")


def nannyml_ks(reference: str, current: str) -> Answer:
    return _nannyml(reference, current, "kolmogorov_smirnov", "chi2")


def whylogs_ks(reference: str, current: str) -> Answer:
    import pandas as pd
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    found = {}

    def work() -> None:
        before, now = (why.log(pd.read_parquet(path)).view() for path in (reference, current))
        scores = calculate_drift_scores(target_view=now, reference_view=before, with_thresholds=True)
        found["drifted"] = [name for name, s in scores.items() if s and s.get("drift_category") == "DRIFT"]
        found["ks"] = {name: s.get("statistic") for name, s in scores.items() if s and s.get("algorithm") == "ks"}
        found["profile"] = len(now.serialize())

    return {**_measured(work), **found}


def alibi_ks(reference: str, current: str) -> Answer:
    """Its caller encodes texts and fills gaps: both are counted, as no answer comes without."""
    import numpy as np
    import pandas as pd
    from alibi_detect.cd import TabularDrift

    def work() -> None:
        before, now = pd.read_parquet(reference), pd.read_parquet(current)
        texts = {}
        for i, name in enumerate(before.columns):
            if before[name].dtype == object:
                known = pd.Index(pd.concat([before[name], now[name]]).unique())
                before[name], now[name] = known.get_indexer(before[name]), known.get_indexer(now[name])
                texts[i] = None
            else:
                middle = before[name].median()
                before[name], now[name] = before[name].fillna(middle), now[name].fillna(middle)
        found = TabularDrift(before.to_numpy(np.float64), p_val=0.05, categories_per_feature=texts)
        found.predict(now.to_numpy(np.float64))

    return _measured(work)


def main() -> None:
    task, *files = sys.argv[1:]
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        answer = globals()[task](*files)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

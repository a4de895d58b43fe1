"""Data drift: the golden values of ``domains/models.md`` 4.8, the laws of its measures, its verdicts, its traps."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models import drift
from plumbline.kernel.models.columns import ColumnSpec, inferred
from plumbline.kernel.models.divergences import ks_of_counts, pearson
from plumbline.kernel.models.drift import DriftReport, Feature, compare, compare_columns
from plumbline.kernel.models.profiles import Profile, count, reference

GRID = (np.arange(1, 10_001) - 0.5) / 10_000
NORMAL = ndtri(GRID)
counts = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=14).map(
    lambda pairs: (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
)


def one(before: object, now: object, kind: str = "numeric", specials: tuple[float, ...] = ()) -> Feature:
    return whole(before, now, kind, specials)["x"]


def whole(before: object, now: object, kind: str = "numeric", specials: tuple[float, ...] = ()) -> DriftReport:
    return compare_columns({"x": before}, {"x": now}, [ColumnSpec("x", kind, specials)])  # type: ignore[arg-type]


def repeated(*rows: int) -> np.ndarray:
    return np.repeat(np.arange(len(rows)), rows).astype(float)


def figures(feature: Feature, *names: str) -> tuple[float, ...]:
    assert feature.measures is not None
    return tuple(getattr(feature.measures, name) for name in names)


# golden values


def test_golden_a_shift_of_three_tenths() -> None:
    found = whole(NORMAL, NORMAL + 0.3)
    feature = found["x"]
    assert figures(feature, "psi", "kl", "js") == pytest.approx((0.086178, 0.042961, 0.124137), abs=1.5e-6)
    assert figures(feature, "chi2")[0] == pytest.approx(423.707, abs=1.5e-3)
    assert feature.ks == pytest.approx(0.1193, abs=1e-9)
    assert feature.wasserstein == pytest.approx(0.300005, abs=1.5e-6)
    assert len(found.reference.grid.axes[0].edges) == 263


def test_golden_one_outlier_of_a_thousand_million_changes_nothing() -> None:
    """Trap 1: equal-width bins and standard deviations are moved by one value."""
    wild = NORMAL.copy()
    wild[-1] = 1e9
    mild, moved = one(NORMAL, NORMAL + 0.3), one(wild, NORMAL + 0.3)
    assert moved.measures == mild.measures
    assert (moved.ks, moved.wasserstein) == (mild.ks, mild.wasserstein)


def test_golden_missing_is_a_bin() -> None:
    """Trap 4: 2 → 3 % missing, and the values themselves hardly move."""
    before, now = NORMAL.copy(), NORMAL.copy()
    before[49::50], now[0::33] = np.nan, np.nan
    feature = one(before, now)
    assert figures(feature, "bins") == (11,)
    assert figures(feature, "psi", "kl", "p") == pytest.approx((0.004466, 0.002384, 0.015016), abs=1.5e-6)
    assert figures(feature, "chi2")[0] == pytest.approx(22.0174, abs=1.5e-4)
    assert feature.ks == pytest.approx(0.000198, abs=1e-6)
    assert feature.missing == (0.02, 0.0304)
    low, high = feature.missing_interval or (0, 0)
    assert 0 < low < 0.0104 < high


def test_golden_values_rarer_than_a_decile_count() -> None:
    """Trap 2: with plain deciles this reads 0."""
    feature = one(repeated(300, 9400, 300), repeated(2000, 7700, 300))
    assert figures(feature, "psi", "kl") == pytest.approx((0.356424, 0.225817), abs=1.5e-6)
    assert feature.ks == pytest.approx(0.17)
    assert feature.severity == "major"


@pytest.mark.parametrize(("delta", "psi", "kl", "ks"), [
    (0.1, 0.009587, 0.004792, 0.039878), (0.2, 0.038311, 0.019131, 0.079656), (0.3, 0.086055, 0.042902, 0.119235),
    (0.5, 0.237749, 0.117903, 0.197413), (1.0, 0.926142, 0.447170, 0.382925),
])  # fmt: skip
def test_golden_shifts_of_a_normal_by_its_own_distribution(delta: float, psi: float, kl: float, ks: float) -> None:
    edges = np.concatenate(([-np.inf], ndtri(np.arange(1, 10) / 10), [np.inf]))
    rows = 10**12
    shifted = np.rint(np.diff(stats.norm.cdf(edges - delta)) * rows).astype(np.int64)
    found = drift.divergence(np.full(10, rows // 10), shifted)
    assert (found.psi, found.kl) == pytest.approx((psi, kl), abs=1.5e-6)
    sample = ndtri((np.arange(1, 200_001) - 0.5) / 200_000)
    assert drift.ks(sample, sample + delta).d == pytest.approx(ks, abs=2e-5)


def test_golden_levels_and_a_new_one() -> None:
    feature = one(list("a" * 500 + "b" * 300 + "c" * 200), list("a" * 400 + "b" * 300 + "c" * 250 + "d" * 50), "category")  # fmt: skip
    expected = (0.343574, 0.277359, 0.066215)
    assert figures(feature, "psi", "kl", "kl_reverse") == pytest.approx(expected, abs=1.5e-6)
    assert figures(feature, "chi2")[0] == pytest.approx(66.6667, abs=1e-4)
    assert (feature.new_levels, feature.new_rows, feature.ks) == ((("d", 50),), 50, None)


def test_golden_ks_chi_squared_and_false_discovery_rates() -> None:
    assert drift.ks(np.array([1, 1.01, 3, 4]), np.array([0.25, 0.5, 1.01])).d == pytest.approx(2 / 3)
    found = drift.divergence([10, 10, 20], [20, 20, 20])
    assert (found.chi2, found.p) == pytest.approx((2.777778, 0.249352), abs=1e-6)
    given_p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.222, 0.251, 0.269, 0.275, 0.34]
    expected = [0.015, 0.06, 0.126, 0.126, 0.126, 0.15, 0.158571, *[0.294643] * 7, 0.34]
    assert drift.benjamini_hochberg(given_p).tolist() == pytest.approx(expected, abs=1e-6)
    assert drift.share_difference((200, 2000), (250, 2000)) == pytest.approx((0.005410, 0.044624), abs=1e-6)


# real data


@pytest.fixture(scope="module")
def credit() -> tuple[pa.Table, pa.Table]:
    root = os.environ.get("PLUMBLINE_DATA")
    if not root:
        pytest.skip("PLUMBLINE_DATA is not set")
    folder = Path(root) / "credit" / "give_me_some_credit"
    tables = [pq.read_table(folder / f"{name}.parquet") for name in ("train", "unlabelled")]
    return tables[0].drop_columns(["id", "SeriousDlqin2yrs"]), tables[1].drop_columns(["id", "SeriousDlqin2yrs"])


def test_golden_train_against_unlabelled_finds_nothing(credit: tuple[pa.Table, pa.Table]) -> None:
    found = compare_columns(*credit, inferred(credit[0]))
    income, debt = found["MonthlyIncome"], found["DebtRatio"]
    assert figures(income, "psi") == pytest.approx((0.000387,), abs=1.5e-6)
    assert (figures(income, "chi2")[0], figures(income, "p")[0]) == pytest.approx((21.246, 0.0194), abs=1e-3)
    assert (income.q, income.ks) == pytest.approx((0.194, 0.004313), abs=5e-4)
    assert debt.ks == pytest.approx(0.003867, abs=1e-6)
    assert compare(found.reference, found.current)["DebtRatio"].ks == pytest.approx(0.003785, abs=1e-6)
    assert (found.drifted_features, found.drift_detected, found.drift_score) == ([], False, 0)
    assert [score.is_drifted for score in found.scores] == [False, False, False]
    assert debt.wasserstein == pytest.approx(5.3, abs=0.05)  # trap 3: a heavy tail, and no drift at all


def test_golden_younger_against_older_applicants(credit: tuple[pa.Table, pa.Table]) -> None:
    young = pc.less(credit[0]["age"], 60)
    found = compare_columns(credit[0].filter(young), credit[0].filter(pc.invert(young)), inferred(credit[0]))
    told = {f.name: (f.measures.psi, f.ks, f.severity) for f in found.features if f.measures}
    assert told["NumberOfDependents"] == (
        pytest.approx(0.610011, abs=1.5e-6),
        pytest.approx(0.276366, abs=1e-6),
        "major",
    )
    assert told["RevolvingUtilizationOfUnsecuredLines"] == (
        pytest.approx(0.317188, abs=1.5e-6), pytest.approx(0.246388, abs=1e-6), "major")  # fmt: skip
    assert told["DebtRatio"][0] == pytest.approx(0.145678, abs=1.5e-6)
    assert told["DebtRatio"][2] == "moderate"
    income = found["MonthlyIncome"]
    assert figures(income, "psi") == pytest.approx((0.070573,), abs=1.5e-6)
    assert income.missing == pytest.approx((0.1636, 0.2702), abs=5e-5)
    assert not income.is_drifted
    assert found.features[0].name == "age"
    assert found.drift_detected


@pytest.mark.parametrize(("rows", "most"), [(100, 0.10), (500, 0.03)])
def test_random_halves_hardly_ever_raise_a_flag(credit: tuple[pa.Table, pa.Table], rows: int, most: float) -> None:
    """4.3: 3.8 and .1 % of reports over ten columns; plain PSI ≥ .1 flags 100 and 3 %. 120 fixed draws of each."""
    specs = inferred(credit[0])
    columns = {spec.name: credit[0][spec.name].to_numpy() for spec in specs}
    random, flagged, plain = np.random.default_rng(20261124), 0, 0
    for _ in range(120):
        drawn = random.choice(len(credit[0]), 2 * rows, replace=False)
        sides = [{name: values[part] for name, values in columns.items()} for part in (drawn[:rows], drawn[rows:])]
        found = compare_columns(*sides, specs)
        flagged += any(f.is_drifted for f in found.features)
        plain += any(f.measures is not None and f.measures.psi >= 0.1 for f in found.features)
    assert flagged <= most * 120
    assert plain > flagged or rows == 500


def car_loan() -> Path | None:
    """The data NannyML ships, if the benchmark has installed it."""
    sys.path.append(str(Path(__file__).parents[3]))
    try:
        from benchmarks.peers import folder_of
    finally:
        sys.path.pop()
    found = sorted(folder_of("nannyml").glob("lib/python*/site-packages/nannyml/datasets/data/synthetic_car_loan_reference.csv"))  # fmt: skip
    return found[0].parent if found else None


def test_golden_the_car_loan_data_of_nannyml() -> None:
    folder = car_loan()
    if folder is None:
        pytest.skip("NannyML's car-loan data are not here; `dev.py bench drift` installs them")
    from pyarrow import csv

    before, now = (csv.read_csv(folder / f"synthetic_car_loan_{name}.csv") for name in ("reference", "analysis"))
    numbers = [ColumnSpec(name) for name in ("car_value", "debt_to_income_ratio", "driver_tenure")]
    texts = [ColumnSpec("salary_range", "category")]
    found = compare_columns(before, now, [*numbers, *texts])
    told = {f.name: f.measures.psi for f in found.features if f.measures}
    expected = {"car_value": 0.23707467, "debt_to_income_ratio": 0.00039433, "driver_tenure": 0.00030982, "salary_range": 0.03189616}  # fmt: skip
    assert told == pytest.approx(expected, abs=1.5e-8)
    assert found["car_value"].ks == pytest.approx(0.2195, abs=5e-5)
    for chunk, chi2 in ((0, 1.033683), (5, 455.622)):
        part = compare_columns(before, now.slice(chunk * 5_000, 5_000), texts)["salary_range"]
        assert figures(part, "chi2")[0] == pytest.approx(chi2, rel=2e-6)
    for name, psi in (("car_value", 0.23702715), ("debt_to_income_ratio", 0.00039611), ("driver_tenure", 0.00031112)):
        x, y = (side[name].to_numpy().astype(float) for side in (before, now))
        edges = np.quantile(x, np.arange(1, 10) / 10)
        bins = [np.bincount(np.searchsorted(edges, v, "left"), minlength=10) for v in (x, y)]
        assert drift.psi(*bins) == pytest.approx(psi, abs=1.5e-8)


# laws


@given(counts)
def test_psi_is_symmetric_on_fixed_bins_and_the_sum_of_both_directions(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    if not a.sum() or not b.sum():
        with pytest.raises(ValueError, match="rows"):
            drift.divergence(a, b)
        return
    there, back = drift.divergence(a, b), drift.divergence(b, a)
    assert there.psi == pytest.approx(back.psi, abs=1e-12)
    assert (there.js, there.chi2) == pytest.approx((back.js, back.chi2), abs=1e-9)
    assert there.kl == pytest.approx(back.kl_reverse, abs=1e-12)
    assert there.psi == pytest.approx(there.kl + there.kl_reverse)
    assert 0 <= there.js <= 1
    assert drift.divergence(a, a).psi == 0
    both = np.append(a, 0), np.append(b, 0)
    assert drift.divergence(*both) == there  # a bin that nobody is in changes nothing


@given(counts)
def test_chi_squared_agrees_with_scipy_where_nothing_is_pooled(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair[0] + 20, pair[1] + 20
    value, df = pearson(a, b)
    if len(a) > 1:
        oracle = stats.chi2_contingency(np.array([a, b]), correction=False)
        if oracle.expected_freq.min() >= 5:
            assert (value, df) == (pytest.approx(oracle.statistic, abs=1e-9), oracle.dof)


samples = st.tuples(st.integers(2, 400), st.integers(2, 400), st.integers(1, 60), st.integers(0, 2**32 - 1))


@given(samples)
@settings(max_examples=150)
def test_ks_is_scipys_with_ties(given_sizes: tuple[int, int, int, int]) -> None:
    n, m, distinct, seed = given_sizes
    random = np.random.default_rng(seed)
    x, y = np.sort(random.integers(0, distinct, n) / 7), np.sort(random.integers(0, distinct, m) / 7)
    assert drift.ks(x, y).d == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_pruned_ks_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = random.integers(9_000, 90_000, 2)
    x, y = random.normal(size=n), random.normal(size=m) + [0, 0.001, 0.1][seed % 3]
    if seed % 4:
        digits = seed % 4
        x, y = np.round(x, digits), np.round(y, digits)
    if seed == 11:
        x, y = x[:9_000], x[:9_000].copy()
    x.sort()
    y.sort()
    found = drift.ks(x, y)
    assert found.d == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)
    assert found.below_reference == (x <= found.at).sum()
    assert found.below_current == (y <= found.at).sum()


def test_the_p_of_ks_is_close_to_scipys() -> None:
    for n, m in ((200, 200), (1_000, 3_000), (50_000, 70_000)):
        d = 1.358 / np.sqrt(n * m / (n + m))
        exact = stats.kstwo.sf(d, round(n * m / (n + m)))
        assert drift.ks_p(d, n, m) == pytest.approx(exact, abs=4e-5)


@pytest.mark.parametrize("stretch", [np.exp, lambda v: v**3, lambda v: np.arctan(v) * 1e-3, lambda v: v * 1e6 - 4])
def test_all_but_wasserstein_are_unchanged_by_increasing_maps(stretch: Callable[[np.ndarray], np.ndarray]) -> None:
    random = np.random.default_rng(3)
    before, now = random.normal(size=3_000), random.normal(0.2, 1.2, size=2_000)
    plain, bent = whole(before, now), whole(stretch(before), stretch(now))
    assert bent["x"].measures == plain["x"].measures
    assert bent["x"].ks == plain["x"].ks
    assert compare(bent.reference, bent.current)["x"].ks == compare(plain.reference, plain.current)["x"].ks


@given(st.integers(0, 2**32 - 1), st.integers(30, 800), st.floats(0, 1))
@settings(max_examples=60)
def test_profiles_tell_what_rows_tell_and_ks_of_the_grid_is_short_by_less_than_a_cell(seed: int, rows: int, shift: float) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    before, now = {"x": random.normal(size=900)}, {"x": random.normal(shift, size=rows)}
    exact = compare_columns(before, now, [ColumnSpec("x")])
    base = reference(before, [ColumnSpec("x")])
    grid = compare(base, count(base.grid, now))
    assert grid["x"].measures == exact["x"].measures
    assert grid["x"].severity == exact["x"].severity
    axis, a, b = base.grid.axes[0], base.cells("x"), exact.current.cells("x")
    gap = ks_of_counts(axis, a, b)
    assert gap is not None
    widest = max((a[: axis.values] / 900).max(), (b[: axis.values] / rows).max())
    assert 0 <= (exact["x"].ks or 0) - gap.d <= widest + 1e-12
    assert grid["x"].wasserstein == pytest.approx(exact["x"].wasserstein, abs=0.1)


# verdicts


def test_effect_and_significance_are_both_asked_for() -> None:
    """Trap 6: a hundredth of a standard deviation is significant in a million rows, and harmless."""
    million = ndtri((np.arange(1, 1_000_001) - 0.5) / 1_000_000)
    harmless = one(million, million + 0.01)
    assert harmless.q < 1e-6
    assert harmless.severity == "stable"
    random = np.random.default_rng(5)
    few = one(random.normal(size=100), random.normal(size=100))
    assert figures(few, "psi")[0] > 0.1
    assert few.severity == "insufficient_data"


@pytest.mark.parametrize(("before", "now", "severity"), [
    (338, 338, "insufficient_data"), (339, 339, "stable"), (10**9, 169, "insufficient_data"), (10**9, 170, "stable"),
])  # fmt: skip
def test_ten_bins_need_339_rows_a_side_or_170_against_a_large_reference(before: int, now: int, severity: str) -> None:
    def spread(rows: int) -> np.ndarray:
        return np.array([rows // 10 + (i < rows % 10) for i in range(10)])

    found = drift.divergence(spread(before), spread(now))
    assert found.bins == 10
    assert ("insufficient_data" if found.noise_point >= drift.MODERATE else "stable") == severity


def test_a_shift_is_found_at_every_size_and_called_by_its_name() -> None:
    assert one(NORMAL, NORMAL + 0.4).severity == "moderate"
    assert one(NORMAL, NORMAL + 0.6).severity == "major"
    assert one(NORMAL[::20], NORMAL[::20] + 0.6).severity == "major"


@pytest.mark.parametrize(("before", "now"), [
    (np.ones(500), np.ones(400)), (np.full(500, np.nan), np.full(400, np.nan)), (np.full(500, np.inf), np.full(400, np.inf)),
])  # fmt: skip
def test_a_column_without_variety_scores_0_with_p_1(before: np.ndarray, now: np.ndarray) -> None:
    """Trap 7."""
    feature = one(before, now)
    assert figures(feature, "psi", "kl", "js", "chi2", "p", "noise") == (0, 0, 0, 0, 1, 0)
    assert feature.severity == "stable"
    one_level = one(["a"] * 50, ["a"] * 40, "category")
    assert figures(one_level, "psi", "p") == (0, 1)


def test_the_floor_decides_what_an_emptied_bin_adds() -> None:
    """Trap 7: .10 → 0 adds .690 at ε 1e-4, and the report says that a bin was floored."""
    found = drift.divergence([100, 900], [0, 1000])
    assert found.floored == 1
    assert (1e-4 - 0.1) * np.log(1e-4 / 0.1) == pytest.approx(0.690, abs=5e-4)
    assert found.psi == pytest.approx(0.690 + 0.1 * np.log(1 / 0.9), abs=2e-3)


def test_an_empty_side_is_no_data_and_not_zero_drift() -> None:
    base = reference({"x": NORMAL}, [ColumnSpec("x")])
    found = compare(base, Profile.empty(base.grid))
    feature = found["x"]
    assert (feature.severity, feature.measures, feature.ks, feature.missing[1]) == ("no_data", None, None, None)
    assert not found.drift_detected
    assert found.scores[0].feature_drifts == {}


def test_special_values_missing_range_and_lost_levels_are_told() -> None:
    feature = one([-9.0] * 100 + list(range(900)), [-9.0] * 500 + list(range(450, 950)), specials=(-9,))
    assert feature.is_drifted
    assert feature.labels[-2:] == ("= -9", "missing")
    assert feature.outside == pytest.approx(50 / 500)
    lost = one(["a"] * 50 + ["b"] * 50, ["a"] * 100, "category")
    assert lost.vanished_levels == (("b", 50),)


def test_scores_of_the_three_tests_and_of_the_report() -> None:
    random = np.random.default_rng(11)
    before = {name: random.normal(size=4_000) for name in "abcp"}
    now = {name: random.normal(size=4_000) + {"a": 0.7, "b": 0.45}.get(name, 0.0) for name in "abcp"}
    specs = [ColumnSpec(name, "probability" if name == "p" else "numeric") for name in "abcp"]
    found = compare_columns(before, now, specs)
    assert [f.name for f in found.features[:2]] == ["a", "b"]
    a, b, p = found["a"], found["b"], found["p"]
    assert found.drift_score == pytest.approx((a.corrected + b.corrected) / 3)
    assert (p.weight, p.severity) == (0, "stable")
    psi, kl, ks = found.scores
    assert (psi.drift_type, kl.drift_type, ks.drift_type) == ("psi", "kl_divergence", "ks_test")
    assert (psi.threshold, kl.threshold, ks.threshold) == (0.10, 0.050, 0.129)
    assert psi.drift_score == a.corrected
    assert a.measures is not None
    assert kl.drift_score == pytest.approx(a.measures.kl - a.measures.noise / 2)
    assert ks.drift_score == a.ks
    assert set(psi.feature_drifts["a"]) == {"score", "corrected", "p", "q", "severity", "n", "missing", "floored"}
    by_importance = compare(found.reference, found.current, {"a": 0, "b": 0, "c": 2}, exact=None)
    assert by_importance.drift_score == 0
    assert by_importance.drift_detected  # a is major whatever it weighs


def test_the_output_counts_from_moderate_on_a_feature_from_major_on() -> None:
    specs = [ColumnSpec(f"f{i}") for i in range(30)]
    still = {spec.name: NORMAL for spec in specs}
    moved = compare_columns(still, {**still, "f0": NORMAL + 0.4}, specs)
    assert moved.severity == "moderate"
    assert not moved.drift_detected
    output = ColumnSpec("p", "probability")
    moved = compare_columns({**still, "p": NORMAL}, {**still, "p": NORMAL + 0.4}, [*specs, output])
    assert moved.drift_score == 0
    assert moved.drift_detected


@pytest.mark.parametrize("importance", [{"x": -1.0}, {"x": float("nan")}, {"y": 1.0}, {}])
def test_an_importance_that_weighs_nothing_is_refused(importance: dict[str, float]) -> None:
    found = whole(NORMAL, NORMAL)
    with pytest.raises(InvalidInput, match="importance"):
        compare(found.reference, found.current, importance)


def test_different_grids_are_not_compared() -> None:
    with pytest.raises(InvalidInput, match="different grids"):
        compare(whole(NORMAL, NORMAL).reference, whole(NORMAL * 2, NORMAL).reference)

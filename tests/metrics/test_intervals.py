import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import InputError, SettingError
from sensorium.metrics import intervals
from sensorium.metrics.intervals import (
    bootstrap,
    bootstrap_mean,
    incomplete_beta,
    rate_interval,
    t_cdf,
    t_interval,
    t_quantile,
    wilson,
)

# 17 digits, from the defining integral in 40-digit arithmetic.
STUDENT = [
    (0.8, 1, 1.3763819204711739),
    (0.975, 1, 12.706204736174693),
    (0.995, 1, 63.656741162871524),
    (0.8, 2, 1.0606601717798215),
    (0.975, 2, 4.3026527297494618),
    (0.995, 3, 5.8409093097333554),
    (0.8, 4, 0.94096457723518136),
    (0.975, 4, 2.7764451051977935),
    (0.995, 4, 4.604094871349992),
    (0.975, 9, 2.262157162798205),
    (0.975, 10, 2.2281388519862742),
    (0.975, 30, 2.0422724563012379),
    (0.995, 120, 2.6174211451068657),
    (0.8, 1000, 0.84198082216242872),
    (0.975, 1000, 1.9623390808264081),
]


@pytest.mark.parametrize(("p", "df", "value"), STUDENT)
def test_the_t_quantile_equals_the_table(p, df, value):
    assert t_quantile(p, df) == pytest.approx(value, rel=1e-11)
    assert t_quantile(1 - p, df) == pytest.approx(-value, rel=1e-11)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.500001, 0.7, 0.9999])
def test_the_t_quantile_has_closed_forms_for_one_and_two_degrees(p):
    assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-9, abs=1e-15)
    assert t_quantile(p, 2) == pytest.approx((2 * p - 1) / math.sqrt(2 * p * (1 - p)), rel=1e-9, abs=1e-15)


def test_many_degrees_approach_the_normal():
    assert t_quantile(0.975, math.inf) == NormalDist().inv_cdf(0.975)
    assert t_quantile(0.975, 1e6) == pytest.approx(1.9599663568, rel=1e-9)


@given(st.floats(0.001, 0.999), st.floats(0.5, 500))
@settings(max_examples=60, deadline=None)
def test_the_cdf_undoes_the_quantile(p, df):
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, rel=1e-10)


@pytest.mark.parametrize(("p", "df"), [(0, 3), (1, 3), (0.5, 0), (0.5, -1)])
def test_quantiles_that_do_not_exist_are_refused(p, df):
    with pytest.raises(SettingError, match="t quantile"):
        t_quantile(p, df)


def test_the_incomplete_beta_equals_its_polynomial():
    # For whole a and b it is the upper tail of a binomial.
    for a, b, x in [(2, 3, 0.4), (5, 5, 0.5), (1, 7, 0.9), (20, 4, 0.75)]:
        n = a + b - 1
        tail = sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
        assert incomplete_beta(a, b, x) == pytest.approx(tail, rel=1e-12)
    assert incomplete_beta(2, 3, 0) == 0
    assert incomplete_beta(2, 3, 1) == 1


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 10), (81, 263), (5000, 10000)])
def test_wilson_ends_solve_the_equation_they_come_from(successes, n):
    z = NormalDist().inv_cdf(0.975)
    found = wilson(successes, n)
    for end in (found.low, found.high):
        # |p_hat - p| = z sqrt(p (1 - p) / n) at both ends.
        assert abs(successes / n - end) == pytest.approx(z * math.sqrt(max(0, end * (1 - end)) / n), abs=1e-9)


def test_wilson_golden_values():
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe (1998), table I
    assert wilson(0, 0).high == 1
    assert wilson(0, 20).low == 0
    assert wilson(20, 20).high == 1


@given(st.integers(0, 500), st.integers(1, 500))
@settings(deadline=None)
def test_wilson_stays_inside_and_holds_the_estimate(successes, more):
    n = successes + more
    found = wilson(successes, n)
    assert 0 <= found.low <= successes / n <= found.high <= 1
    mirrored = wilson(n - successes, n)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-12)
    assert wilson(successes * 4, n * 4).high - wilson(successes * 4, n * 4).low < found.high - found.low


@pytest.mark.parametrize("call", [lambda: wilson(3, 2), lambda: wilson(-1, 2), lambda: wilson(1, 2, level=95)])
def test_wilson_refuses_nonsense(call):
    with pytest.raises(SettingError):
        call()


def test_the_t_interval_by_hand():
    found = t_interval([1, 2, 3, 4, 5])
    half = 2.7764451051977935 * math.sqrt(2.5) / math.sqrt(5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert found.method == "t over 5 values"
    assert (t_interval([0.1, 0.1, 0.1]).low, t_interval([0.1] * 3).high) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_the_t_interval_needs_two_finite_values(values):
    with pytest.raises(InputError):
        t_interval(values)


def test_the_interval_knows_its_side():
    found = t_interval([1.0, 1.1, 0.9])
    assert found.beyond(0.5)
    assert not found.beyond(1.0)
    assert found.below(1.5)
    assert not found.below(1.0)


def slow_bootstrap(values, clusters, resamples):
    """Rows by rows, with the documented counter."""
    from sensorium.data.chance import mix

    names = sorted(set(clusters))
    rows = {name: [v for v, c in zip(values, clusters, strict=True) if c == name] for name in names}
    salt = mix(np.array([0], np.uint64))
    found = []
    for b in range(resamples):
        drawn = []
        for j in range(len(names)):
            bits = mix(mix(np.array([b * len(names) + j], np.uint64)) ^ salt)[0] >> np.uint64(11)
            drawn += rows[names[int(float(bits) * 2.0**-53 * len(names))]]
        found.append(sum(drawn) / len(drawn))
    return np.quantile(found, [0.025, 0.975])


def test_the_bootstrap_equals_a_slow_one():
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    clusters = [f"speaker{i}" for i in rng.integers(0, 9, 40)]
    found = bootstrap_mean(values, clusters, resamples=50)
    assert (found.low, found.high) == pytest.approx(tuple(slow_bootstrap(values, clusters, 50)))
    general = bootstrap(lambda rows: float(values[rows].mean()), clusters, resamples=50)
    assert (general.low, general.high) == pytest.approx((found.low, found.high))
    assert found.method == general.method == f"percentile bootstrap over {len(set(clusters))} clusters"


def test_blocks_do_not_change_the_bootstrap(monkeypatch):
    values = np.random.default_rng(1).normal(size=30)
    whole = bootstrap_mean(values)
    monkeypatch.setattr(intervals, "_BLOCK", 100)
    assert bootstrap_mean(values) == whole


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_both_forms_of_the_bootstrap_agree_and_ignore_the_order_of_clusters(method):
    rng = np.random.default_rng(2)
    values = rng.exponential(size=60)
    clusters = np.repeat([f"c{i}" for i in range(20)], 3)
    first = bootstrap_mean(values, clusters, method=method)
    second = bootstrap(lambda rows: float(values[rows].mean()), clusters, method=method)
    assert (second.low, second.high) == pytest.approx((first.low, first.high))
    shuffled = rng.permutation(60)
    third = bootstrap_mean(values[shuffled], clusters[shuffled], method=method)
    assert (third.low, third.high) == pytest.approx((first.low, first.high))


def test_clusters_widen_the_interval_of_copies():
    values = np.random.default_rng(3).normal(size=30)
    copied = np.repeat(values, 10)
    alone = bootstrap_mean(copied)
    together = bootstrap_mean(copied, np.repeat(np.arange(30), 10))
    plain = bootstrap_mean(values)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    assert (together.low, together.high) == pytest.approx((plain.low, plain.high))


def test_bca_leans_with_the_skew_and_covers():
    rng = np.random.default_rng(4)
    values = rng.exponential(size=40)
    plain, bca = bootstrap_mean(values), bootstrap_mean(values, method="bca")
    assert bca.low > plain.low  # a right-skewed sample: both ends move to the right
    assert bca.high > plain.high
    covered = sum(
        (one := bootstrap_mean(rng.exponential(size=50), method="bca", resamples=300)).low <= 1 <= one.high
        for _ in range(200)
    )
    assert 0.88 <= covered / 200 <= 0.99


def test_the_percentile_interval_of_a_normal_mean_is_the_usual_one():
    values = np.random.default_rng(5).normal(size=400)
    found = bootstrap_mean(values, resamples=4000)
    half = 1.96 * values.std() / 20
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_equal_values_have_no_width():
    found = bootstrap_mean([2.0] * 5, method="bca")
    assert (found.low, found.high) == (2, 2)


def test_resamples_without_a_value_are_left_out_or_refused():
    truth = np.array([0, 1] * 20)

    def gap(rows):
        drawn = truth[rows]
        return math.nan if drawn.min() == drawn.max() else float(drawn.mean())

    assert 0.2 < bootstrap(gap, 40).low < bootstrap(gap, 40).high < 0.8
    with pytest.raises(InputError, match="resamples have a value"):
        bootstrap(lambda rows: math.nan, 40)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_mean([]),
        lambda: bootstrap_mean([1.0]),
        lambda: bootstrap_mean([1.0, 2.0], ["a", "a"]),
        lambda: bootstrap_mean([1.0, 2.0], ["a"]),
        lambda: bootstrap_mean([1.0, math.nan]),
        lambda: bootstrap(lambda rows: 0.0, 0),
    ],
)
def test_the_bootstrap_needs_two_clusters_and_finite_values(call):
    with pytest.raises(InputError):
        call()


def test_the_bootstrap_refuses_impossible_settings():
    with pytest.raises(SettingError, match="resamples"):
        bootstrap_mean([1.0, 2.0], resamples=0)
    with pytest.raises(SettingError, match="level"):
        bootstrap_mean([1.0, 2.0], level=95)


def test_rates_choose_the_interval_that_exists():
    hits = np.arange(100) % 3 == 0
    classes = np.repeat(np.arange(25), 4)
    assert rate_interval(hits) == wilson(int(hits.sum()), 100)
    assert rate_interval(hits, np.arange(100)) == wilson(int(hits.sum()), 100)
    assert rate_interval(hits, np.repeat(np.arange(5), 20)) == wilson(int(hits.sum()), 100)
    assert rate_interval(hits, classes).method == "percentile bootstrap over 25 clusters"
    # All right: certain resamples, but only 25 classes were seen.
    assert rate_interval(np.ones(100), classes) == wilson(25, 25)
    assert rate_interval(np.zeros(100), classes) == wilson(0, 25)
    assert rate_interval([]) == wilson(0, 0)
    with pytest.raises(InputError, match="2 rows need as many clusters, not 1"):
        rate_interval([True, False], ["a"])


@pytest.mark.parametrize(("t", "df"), [(math.nan, 4), (0.5, 0), (0.5, math.nan)])
def test_probabilities_that_do_not_exist_are_refused(t, df):
    with pytest.raises(SettingError, match="needs a number and df > 0"):
        t_cdf(t, df)

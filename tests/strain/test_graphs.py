"""What holds for each of the four graphs that are no straight lines."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sensorium.core.fingerprint import Fingerprints
from sensorium.core.picture import picture, rows

GRAPHS = ("mode", "rgx", "lifelong", "superb")


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(count))


# Arguments for a graph of about `size` stages, and how many stages it then has.
SIZES: dict[str, Any] = {
    "mode": lambda size: ({"topics": names(size // 2)}, 6 + 2 * (size // 2)),
    "rgx": lambda size: ({"rounds": size // 3}, 5 + 3 * (size // 3)),
    "lifelong": lambda size: (
        {"corpora": names(int(size**0.5))},
        1 + 3 * int(size**0.5) + int(size**0.5) ** 2,
    ),
    "superb": lambda size: ({"encoders": names(size // 10), "tasks": names(8)}, 3 + 10 * (size // 10)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_fingerprints_take_linear_time(strain, name):
    seconds, counts = [], []
    for size in (400, 1600):
        arguments, expected = SIZES[name](size)
        last = strain.build(name, **arguments)
        started = time.perf_counter()
        prints = Fingerprints(last)
        seconds.append(time.perf_counter() - started)
        counts.append(len(prints.order))
        assert counts[-1] == expected
        assert len({prints[stage] for stage in prints.order}) == expected
    # Four times the stages; a quadratic rule would take sixteen times as long.
    assert seconds[1] < 9 * seconds[0] + 0.3


@pytest.mark.parametrize("name", GRAPHS)
def test_two_jobs_leave_what_one_leaves(strain, name, tmp_path):
    last = strain.build(name)
    one = strain.run(last, root=tmp_path / "one")
    assert len(one) == len(strain.plan(last).order)
    two = strain.run(strain.build(name), root=tmp_path / "two", jobs=2)
    assert two == one
    contents = strain.contents(tmp_path / "one")
    assert strain.contents(tmp_path / "two") == contents
    assert len(contents) > len(one)
    assert strain.run(strain.build(name), root=tmp_path / "two", jobs=2) == []


@pytest.mark.parametrize("name", GRAPHS)
def test_several_workers_leave_what_one_leaves(strain, name, tmp_path):
    arguments = {
        "lifelong": {},
        "mode": {"topics": ("animals",)},
        "superb": {"encoders": ("hubert",), "tasks": ("keywords",)},
    }
    last = strain.build(name, **arguments.get(name, {"rounds": 1}))
    strain.run(last, root=tmp_path / "one")
    strain.run(last, root=tmp_path / "two", workers=2)
    assert strain.contents(tmp_path / "two") == strain.contents(tmp_path / "one")


@pytest.mark.parametrize("name", GRAPHS)
def test_seeds_as_arms_share_what_has_no_seed(strain, name):
    """As `claim` runs them: all arms and seeds in one plan."""
    lasts = [strain.build(name, seed=seed) for seed in (0, 100)]
    plan = strain.plan(*lasts)
    ran = strain.run(*lasts, jobs=2)
    prints = {plan.fingerprints[stage] for stage in plan.order}
    assert len(plan.order) > len(prints)
    assert len(list(strain.root.glob("*/*/done.json"))) == len(prints)
    assert len(ran) == len(plan.order)
    assert strain.run(*[strain.build(name, seed=seed) for seed in (100, 0)]) == []


@pytest.mark.parametrize("name", GRAPHS)
def test_a_picture_is_drawn_without_running_anything(strain, name):
    last = strain.build(name)
    drawn = picture(last)
    found = rows(last)
    assert len(drawn.splitlines()) == 2 * len(found)
    for row in found:
        assert all(number < row["number"] for number in row["consumes"])
        assert f"{row['name']}: {row['class']}(" in drawn
    assert not strain.root.exists()


@pytest.mark.parametrize("name", GRAPHS)
def test_precision_reruns_what_computes_with_it_and_what_follows(strain, name):
    last = strain.build(name)
    strain.run(last)
    ran = strain.run(last, precision="bf16")
    kept = {stage.label() for stage in strain.plan(last).order} - set(ran)
    assert kept
    assert all(
        type(stage).__name__ in ("Corpus", "Part", "Router")
        for stage in strain.plan(last).order
        if stage.label() in kept
    )


KILLED = {
    "mode": ("Part", {"topics": "animals,plants"}),
    "rgx": ("Make", {"rounds": 1, "num_items": 12}),
    "superb": ("Features", {"encoders": "hubert,wavlm", "tasks": "keywords", "num_items": 12}),
}


PLACES = [("mode", 1, 1), ("rgx", 2, 1), ("superb", 1, 2)]
OTHERS = [(name, jobs, workers) for name in KILLED for jobs, workers in ((1, 1), (1, 2), (2, 1))]


@pytest.mark.parametrize(
    ("name", "jobs", "workers"),
    [*PLACES, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS if other not in PLACES)],
)
def test_a_kill_inside_items_loses_no_item(strain, name, jobs, workers, tmp_path):
    kind, options = KILLED[name]
    root = tmp_path / "killed"
    process = strain.start(name, root, jobs, workers, seconds=0.05, **options)
    markers = strain.kill_within(process, root, kind, 3)
    before = {path: path.stat().st_mtime_ns for path in markers}
    assert before
    again = strain.start(name, root, jobs, workers, seconds=0.0, **options)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert "starting it over" not in said
    assert {path: path.stat().st_mtime_ns for path in markers} == before
    undisturbed = strain.start(name, tmp_path / "undisturbed", seconds=0.0, **options)
    assert undisturbed.wait(60) == 0
    undisturbed.communicate()
    assert strain.contents(root) == strain.contents(tmp_path / "undisturbed")
    assert not list(root.rglob("*.tmp-*"))

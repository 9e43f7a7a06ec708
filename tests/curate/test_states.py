import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.core.errors import StageFailedError
from sensorium.curate.states import add_up, read_state, write_state


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "counts": np.arange(5),
        "t": 2**70,
        "ids": ["a", "ü\x00"],
        "empty": np.zeros(0, np.uint64),
        "none": None,
        "numpy": np.int64(7),
    }
    write_state(tmp_path / "s.npz", state)
    first = (tmp_path / "s.npz").read_bytes()
    found = read_state(tmp_path / "s.npz")
    assert {name: value for name, value in found.items() if not isinstance(value, np.ndarray)} == {
        "t": 2**70,
        "ids": ["a", "ü\x00"],
        "none": None,
        "numpy": 7,
    }
    assert found["counts"].tolist() == [0, 1, 2, 3, 4]
    assert found["empty"].dtype == np.uint64
    write_state(tmp_path / "s.npz", state)
    assert (tmp_path / "s.npz").read_bytes() == first


@pytest.mark.parametrize("value", [{1, 2}, np.array([object()]), b"x"])
def test_what_cannot_be_written_is_named(tmp_path, value):
    with pytest.raises(StageFailedError, match="state"):
        write_state(tmp_path / "s.npz", {"value": value})
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.lists(st.integers(0, 2**40), max_size=6), min_size=1, max_size=5), st.randoms())
def test_sums_do_not_depend_on_order_or_grouping(counts, random):
    states = [{"counts": np.array(one, np.int64), "rows": len(one)} for one in counts]
    whole = add_up(states)
    random.shuffle(states)
    cut = random.randint(1, len(states))
    grouped = add_up([add_up(states[:cut]), *states[cut:]])
    assert grouped["counts"].tolist() == whole["counts"].tolist()
    assert whole["rows"] == sum(map(len, counts))
    assert grouped["rows"] == whole["rows"]

from __future__ import annotations

from sensorium.train.record import METRICS, Record, read


def test_each_update_once_also_after_a_restart(tmp_path):
    with Record(tmp_path, 0) as record:
        for update in range(1, 8):
            record.add({"update": update, "loss": update / 3})
        record.sync()
    path = tmp_path / METRICS
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # the kill came in the middle of a line
    with Record(tmp_path, 4) as record:
        for update in range(5, 8):
            record.add({"update": update, "loss": update / 3})
    assert path.read_bytes() == whole
    assert [line["update"] for line in read(tmp_path)] == list(range(1, 8))


def test_a_character_cut_in_two_by_a_kill_is_no_error(tmp_path):
    with Record(tmp_path, 0) as record:
        record.add({"update": 1, "ids": ["a"]})
        record.add({"update": 2, "ids": ["图像"]})
    path = tmp_path / METRICS
    path.write_bytes(path.read_bytes()[:-5])
    assert read(tmp_path) == [{"update": 1, "ids": ["a"]}]


def test_numbers_that_json_does_not_have_are_null(tmp_path):
    with Record(tmp_path, 0) as record:
        record.add({"update": 1, "loss": float("nan"), "gradient": float("inf"), "skipped": True})
    assert read(tmp_path) == [{"update": 1, "loss": None, "gradient": None, "skipped": True}]


def test_ranks_that_follow_write_nothing_and_tensorboard_is_told(tmp_path):
    class Told(list):
        closed = False

        def add(self, line):
            self.append(line)

        def close(self):
            self.closed = True

    told = Told()
    with Record(tmp_path, 0, tensorboard=told, writes=False) as record:
        record.add({"update": 1})
        record.sync()
    assert told == [{"update": 1}]
    assert told.closed
    assert not (tmp_path / METRICS).exists()
    assert read(tmp_path) == []

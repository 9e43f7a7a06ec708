from __future__ import annotations

import pytest

from sensorium.core.errors import SettingError
from sensorium.report.blocks import (
    Bar,
    Bars,
    Cell,
    Column,
    Flow,
    Graph,
    Node,
    Part,
    Sample,
    Samples,
    Table,
    Text,
    cell,
)

PNG = "data:image/png;base64,AAAA"
WAV = "data:audio/wav;base64,AAAA"


def test_media_that_is_no_data_is_refused():
    for value in (
        "http://x/y.png",
        "y.png",
        'data:image/png;base64,"onerror=',
        "data:text/html;base64,AAAA",
        "javascript:1",
    ):
        with pytest.raises(SettingError, match="loads nothing"):
            Sample(caption=Text(content=""), image=value)


def test_a_flow_knows_whether_its_parts_sum_to_what_went_in():
    parts = (Part(label="kept", count=7, kind="kept"), Part(label="dropped", count=2, kind="dropped"))
    assert Flow(label="x", total=9, parts=parts).balanced()
    assert not Flow(label="x", total=10, parts=parts).balanced()


def test_the_richest_medium_shapes_the_grid():
    text, image, sound = (Sample(caption=Text(content="a"), **given) for given in ({}, {"image": PNG}, {"audio": WAV}))
    assert Samples(items=(text,)).form == "texts"
    assert Samples(items=(text, sound)).form == "sounds"
    assert Samples(items=(text, sound, image)).form == "images"


def test_tables_refuse_rows_of_another_length():
    with pytest.raises(SettingError, match="needs 2 cells"):
        Table(columns=(Column(title="a"), Column(title="b")), rows=((Cell(content="1"),),))


def test_cells_show_numbers_and_sort_by_them():
    assert cell(1234.0) == Cell(content="1,234", sort=1234.0)
    assert cell(None).content == "–"
    assert cell("x", lang="en") == Cell(content="x", lang="en")


def test_bars_fill_the_width_with_the_largest_value_even_when_all_are_zero():
    assert Bars(items=(Bar(label="a", value=2, before=9), Bar(label="b", value=5))).largest == 9
    assert Bars(items=(Bar(label="a", value=0),)).largest == 1


def test_a_graph_knows_its_size():
    nodes = (
        Node(label="a", what="pool", note="", state="made", x=0, y=0.5),
        Node(label="b", what="", note="", state="kept", x=2, y=1),
    )
    assert (Graph(nodes=nodes, edges=()).width, Graph(nodes=nodes, edges=()).height) == (3, 2)

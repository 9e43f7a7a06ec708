import pytest

from sensorium.core.errors import SettingError
from sensorium.metrics.names import metric


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("top1", "top-1"),
        ("top5", "top-5"),
        ("mean_per_class", "mean per class"),
        ("head", "head"),
        ("tail", "tail"),
        ("r10", "R@10"),
        ("image_to_text_r1", "image to text R@1"),
        ("text_to_image_r5", "text to image R@5"),
        ("recall_at_3", "recall@3"),
        ("precision_at_3", "precision@3"),
        ("ndcg_at_10", "nDCG@10"),
        ("mrr", "mean reciprocal rank"),
    ],
)
def test_every_name_has_a_title_a_direction_and_a_definition(name, title):
    found = metric(name)
    assert (found.name, found.title) == (name, title)
    assert found.better == "higher"
    assert found.unit == "fraction"
    assert found.definition
    assert "{" not in found.definition


@pytest.mark.parametrize("name", ["top", "top0", "top01", "image_to_text_top1", "sound_to_text_r1", "Top1x"])
def test_unknown_names_are_refused_with_the_nearest(name):
    with pytest.raises(SettingError, match="unknown metric"):
        metric(name)
    with pytest.raises(SettingError, match="did you mean 'mean_per_class'"):
        metric("mean_perclass")

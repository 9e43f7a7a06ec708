"""The protocols tell models apart by what they do."""

from __future__ import annotations

from sensorium.models.matcher import ImageEmbedder, Matcher, TextEmbedder


class TextsOnly:
    def embed_texts(self, texts, batch=1):
        return None


class Both(TextsOnly):
    def embed_images(self, images, batch=1):
        return None

    def score(self, images, texts):
        return None


def test_told_apart_by_what_they_do():
    assert isinstance(Both(), Matcher)
    assert isinstance(Both(), ImageEmbedder)
    assert isinstance(TextsOnly(), TextEmbedder)
    assert not isinstance(TextsOnly(), Matcher)

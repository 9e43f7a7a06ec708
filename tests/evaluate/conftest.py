"""A real network with random weights, in the form of a released model."""

import numpy as np
import pytest

WORDS = ["a", "photo", "of", "the", "red", "green", "blue", "white", "dog", "cat"]


@pytest.fixture
def clip_folder(tmp_path, monkeypatch):
    """A function that writes a small CLIP with random weights and gives its folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "cache"))

    def make(name="clip", seed=0):
        vocabulary = {word: number for number, word in enumerate(["<pad>", "<unk>", "<s>", *WORDS, "</s>"])}
        words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
        words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        ends = [(mark, vocabulary[mark]) for mark in ("<s>", "</s>")]
        words.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        numbers = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": len(vocabulary) - 1}
        text = {**sizes, **numbers, "vocab_size": len(vocabulary), "max_position_embeddings": 12}
        vision = {**sizes, "image_size": 8, "patch_size": 4}
        torch.manual_seed(seed)
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        network = transformers.CLIPModel(config).eval()
        # Larger weights than at the start of training, so that pictures and texts differ.
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.5)
        network.save_pretrained(tmp_path / name)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
        ).save_pretrained(tmp_path / name)
        crop = {"size": {"shortest_edge": 8}, "crop_size": {"height": 8, "width": 8}}
        transformers.CLIPImageProcessorPil(**crop).save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def noise():
    """A function that gives a picture of random pixels by its number."""
    return lambda number: np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)

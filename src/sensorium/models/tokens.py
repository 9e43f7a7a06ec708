"""Tokenizers of transformers: opened by name, and written for readers in transformers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from sensorium.core.errors import InputError
from sensorium.data.words import Bytes
from sensorium.models.config_two_tower import HubTokens
from sensorium.models.weights import quiet

BEGIN, END = "<|startoftext|>", "<|endoftext|>"


@functools.lru_cache(maxsize=8)
def open_tokenizer(name: str, revision: str | None = None) -> Any:
    """The tokenizer of a folder, or of a name in the Hugging Face cache; kept for the process.

    Raises:
        InputError: it is not there; the sentence says how to get it.
    """
    settings = {"revision": revision} if revision else {}
    with quiet():
        try:
            return AutoTokenizer.from_pretrained(name, local_files_only=True, trust_remote_code=False, **settings)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise InputError(
                f"the tokenizer {name} is no folder here and not in the Hugging Face cache; fetch it with: "
                f"hf download {name} --include '*.json' 'merges.txt', or use tokens=Bytes(), which needs no files."
            ) from error


def save_tokenizer(tokens: HubTokens | Bytes, folder: Path) -> None:
    """Write tokenizer files from which transformers gives the same integers."""
    tokenizer = as_released(tokens) if isinstance(tokens, Bytes) else open_tokenizer(tokens.name, tokens.revision)
    tokenizer.save_pretrained(folder)


def as_released(tokens: Bytes) -> PreTrainedTokenizerFast:
    """Bytes as a byte-pair encoding without merges: equal integers for equal texts."""
    begin, end = tokens.vocabulary - 2, tokens.vocabulary - 1
    vocabulary = {letter: byte for byte, letter in enumerate(_letters())}
    tokenizer = Tokenizer(models.BPE({**vocabulary, BEGIN: begin, END: end}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, begin), (END, end)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        model_max_length=tokens.length,
    )


def _letters() -> list[str]:
    """The letter that stands for each byte in byte-level encodings.

    Printable Latin-1 bytes stand for themselves; the others, in order, for the letters from U+0100 on.
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    kept = set(plain)
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]

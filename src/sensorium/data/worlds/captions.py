"""Captions as the web writes them: names in templates, file names, nothing at all, text for any picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sensorium.data.chance import uniform
from sensorium.data.worlds import names

KINDS = ("good", "filename", "empty", "camera", "generic")
"""What a caption is: a name in a template; a file name made of the name; nothing; a camera's name; any text.

Only the first two know the picture. Blanks are kept around names where a language would allow none, so that
matching at word borders and matching of substrings find the same names in good captions.
"""

TEMPLATES = {
    "en": "{};{};a photo of {};picture of {};{} icon;{} clipart;buy {};{} | free download;how to draw {}",
    "de": "{};{};Foto: {};Bild von {};{} Symbol;{} kaufen;{} günstig;{} | kostenlos;{} selbst malen",
    "es": "{};{};foto de {};imagen de {};icono {};comprar {};{} en línea;{} | gratis;cómo dibujar {}",
    "fr": "{};{};photo de {};image : {};icône {};acheter {};{} en ligne;{} | gratuit;comment dessiner {}",
    "it": "{};{};foto di {};immagine di {};icona {};comprare {};{} online;{} | gratis;come disegnare {}",
    "pt": "{};{};foto de {};imagem de {};ícone {};comprar {};{} online;{} | grátis;como desenhar {}",
    "ru": "{};{};фото: {};картинка {};значок {};купить {};{} онлайн;{} | бесплатно;как нарисовать {}",
    "tr": "{};{};{} fotoğrafı;{} resmi;{} simgesi;{} satın al;{} çevrimiçi;{} | ücretsiz;{} nasıl çizilir",
    "id": "{};{};foto {};gambar {};ikon {};beli {};{} daring;lukisan {};{} | gratis;cara menggambar {}",
    "ar": "{};{};صورة {};رسم {};رمز {};شراء {};{} عبر الإنترنت;{} | مجانا;كيفية رسم {}",
    "fa": "{};{};عکس {};تصویر {};نماد {};خرید {};{} آنلاین;نقاشی {};{} | رایگان;آموزش نقاشی {}",
    "ja": "{};{};{} の写真;{} 画像;{} アイコン;{} 通販;{} イラスト;{} 素材;{} | 無料;{} の描き方",
    "ko": "{};{};{} 사진;{} 이미지;{} 아이콘;{} 구매;{} 온라인;{} 그림;{} | 무료;{} 그리는 법",
    "zh": "{};{};{} 照片;{} 图片;{} 图标;购买 {};{} 在线;{} 插图;{} | 免费;如何画 {}",
}
"""Templates of each language, separated by semicolons; the bare name counts twice."""

GENERIC = {
    "en": "click to enlarge;photo;untitled;image not available;banner;advertisement;read more",
    "de": "zum Vergrößern klicken;Foto;ohne Titel;Bild nicht verfügbar;Banner;Anzeige;mehr lesen;Startseite",
    "es": "haga clic para ampliar;foto;sin título;imagen no disponible;vista previa;publicidad;leer más",
    "fr": "cliquez pour agrandir;photo;sans titre;image non disponible;aperçu;publicité;lire la suite",
    "it": "clicca per ingrandire;foto;senza titolo;immagine non disponibile;anteprima;pubblicità;leggi tutto",
    "pt": "clique para ampliar;foto;sem título;imagem não disponível;pré-visualização;publicidade;leia mais",
    "ru": "нажмите, чтобы увеличить;фото;без названия;изображение недоступно;миниатюра;реклама;читать далее",
    "tr": "büyütmek için tıklayın;fotoğraf;adsız;görsel mevcut değil;önizleme;reklam;devamını oku",
    "id": "klik untuk memperbesar;foto;tanpa judul;gambar tidak tersedia;pratinjau;iklan;baca selengkapnya",
    "ar": "انقر للتكبير;صورة;بدون عنوان;الصورة غير متوفرة;معاينة;إعلان;اقرأ المزيد",
    "fa": "برای بزرگنمایی کلیک کنید;عکس;بدون عنوان;تصویر موجود نیست;پیش‌نمایش;تبلیغات;ادامه مطلب",
    "ja": "クリックで拡大;写真;無題;画像はありません;サムネイル;バナー;広告;続きを読む",
    "ko": "클릭하여 확대;사진;제목 없음;이미지 없음;미리보기;배너;광고;더 보기",
    "zh": "点击放大;照片;无标题;图片不可用;缩略图;横幅;广告;阅读更多",
}
"""Texts that fit any picture, separated by semicolons."""

_CAMERA = (
    "IMG_{:04d}.jpg",
    "DSC{:05d}.JPG",
    "image{:d}.png",
    "P10{:05d}.jpg",
    "screenshot-{:d}.png",
    "photo ({:d}).jpeg",
)
_JUNK = ("empty", "camera", "generic", "generic")


@dataclass(frozen=True)
class Captions:
    """One row of the captions of a batch, column by column."""

    text: list[str]
    lang: list[str]
    kind: list[str]


@dataclass(frozen=True, kw_only=True)
class Captioner:
    """Writes captions; what it writes for a row depends on the row's hash, concept and these settings.

    Args:
        emoji: the concepts.
        languages: languages of the captions; the first has `main_share` of the rows, the others share the
            rest equally.
        junk: share of captions that do not know the picture: a quarter each empty and camera names, half
            generic.
        filenames: share of the other captions that are file names made of the concept's name.
        aliases: share of English captions that use another name where there is one.
    """

    emoji: tuple[str, ...]
    languages: tuple[str, ...]
    junk: float = 0.4
    main_share: float = 0.7
    filenames: float = 0.1
    aliases: float = 0.25
    _names: dict[str, list[str]] = field(init=False, repr=False)
    _others: list[tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names.check_languages(self.languages)
        known = {language: [names.name(emoji, language) for emoji in self.emoji] for language in self.languages}
        object.__setattr__(self, "_names", known)
        object.__setattr__(self, "_others", [names.aliases(emoji) for emoji in self.emoji])

    def write(self, concept: np.ndarray, hashes: np.ndarray, seed: int) -> Captions:
        """Captions for rows showing `concept` (N,) int with id hashes (N,) uint64."""
        coins = {
            purpose: uniform(hashes, seed, f"web/{purpose}")
            for purpose in (
                "language",
                "junk",
                "junk kind",
                "filename",
                "alias",
                "which alias",
                "wording",
                "number",
            )
        }
        junk = coins["junk"] < self.junk
        language = np.searchsorted(np.cumsum(self.shares())[:-1], coins["language"], side="right")
        texts, kinds = [], []
        for row in range(len(concept)):
            spoken = self.languages[language[row]]
            coin = {purpose: float(values[row]) for purpose, values in coins.items()}
            kind, text = _junk(spoken, coin) if junk[row] else self._good(int(concept[row]), spoken, coin)
            texts.append(text)
            kinds.append(kind)
        return Captions(text=texts, lang=[self.languages[place] for place in language], kind=kinds)

    def shares(self) -> list[float]:
        """The share of each language; they add up to 1."""
        if len(self.languages) == 1:
            return [1.0]
        rest = (1 - self.main_share) / (len(self.languages) - 1)
        return [self.main_share] + [rest] * (len(self.languages) - 1)

    def _good(self, concept: int, language: str, coin: dict[str, float]) -> tuple[str, str]:
        name = self._names[language][concept]
        others = self._others[concept] if language == "en" else ()
        if others and coin["alias"] < self.aliases:
            name = _pick(others, coin["which alias"])
        if coin["filename"] < self.filenames:
            joined = ("-" if coin["wording"] < 0.7 else "_").join(name.replace("/", " ").split())
            return "filename", joined + (".jpg" if coin["number"] < 0.7 else ".png")
        return "good", _pick(TEMPLATES[language].split(";"), coin["wording"]).replace("{}", name)


def _junk(language: str, coin: dict[str, float]) -> tuple[str, str]:
    kind = _pick(_JUNK, coin["junk kind"])
    if kind == "empty":
        return kind, ""
    if kind == "camera":
        return kind, _pick(_CAMERA, coin["wording"]).format(int(coin["number"] * 9999))
    text = _pick(GENERIC[language].split(";"), coin["wording"])
    return kind, text if coin["number"] < 0.8 else f"{text} {int(coin['number'] * 1000) - 799}"


def _pick(choices: Sequence[str], coin: float) -> str:
    """The choice a coin in [0, 1) falls on."""
    return choices[int(coin * len(choices))]

"""Inter in two weights, and system fonts for glyphs that Inter does not have."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

REGULAR = "Inter-Regular.otf"
SEMIBOLD = "Inter-SemiBold.otf"
_MISSING = "□"
_FOLDER = Path(__file__).parent / "fonts"

# In the order in which they are tried; only outline fonts, Pillow cannot scale bitmap fonts such as NotoColorEmoji.
_FALLBACK_NAMES = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansJP-Regular.otf",
    "SourceHanSans-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
    "unifont.ttf",
    "unifont.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "ヒラギノ角ゴシック W3.ttc",
    "AppleSDGothicNeo.ttc",
    "GeezaPro.ttc",
    "ArialHB.ttc",
    "Arial Unicode.ttf",
    "Apple Symbols.ttf",
    "segoeui.ttf",
    "msyh.ttc",
    "YuGothR.ttc",
    "meiryo.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "seguisym.ttf",
    "seguiemj.ttf",
    "arialuni.ttf",
    "arial.ttf",
)


@lru_cache(maxsize=48)
def load_font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    """A font of this package (by file name) or of the system (by path) at a size in pixels."""
    path = _FOLDER / name if name in (REGULAR, SEMIBOLD) else Path(name)
    # Read here and handed over as bytes: FreeType cannot open every path on Windows.
    with path.open("rb") as file:
        return ImageFont.truetype(file, max(1, pixels))


@lru_cache(maxsize=4096)
def has_glyph(name: str, character: str) -> bool:
    """Whether a font has a glyph for `character`, other than its mark for missing glyphs."""
    if character.isspace():
        return True
    drawn = _glyph(name, character)
    return drawn[1] != b"" and drawn != _glyph(name, "\U0010ffff")


@lru_cache(maxsize=4096)
def font_for(character: str, name: str) -> str | None:
    """`name` where it has the character, else the first font of the system that does, or None."""
    if has_glyph(name, character):
        return name
    for path in _system_fonts():
        try:
            if has_glyph(path, character):
                return path
        except (OSError, ValueError):
            continue
    return None


def split_runs(text: str, name: str) -> list[tuple[str, str]]:
    """Split text into runs (font, characters) that one font can draw."""
    runs: list[tuple[str, str]] = []
    for character in text:
        # A space or a combining mark stays with the character before it: shaping works within a run.
        joins = bool(runs) and (character.isspace() or unicodedata.combining(character) != 0)
        font = runs[-1][0] if joins and has_glyph(runs[-1][0], character) else font_for(character, name)
        if font is None:
            # A character that no font has becomes a plain box.
            font, character = name, _MISSING
        if runs and runs[-1][0] == font:
            runs[-1] = (font, runs[-1][1] + character)
        else:
            runs.append((font, character))
    return runs


def clean(text: str) -> str:
    """Normalize text to one drawable line: composed, without control and format characters, single spaces."""
    composed = unicodedata.normalize("NFC", text)
    kept = []
    for character in composed:
        category = unicodedata.category(character)
        if character.isspace() or category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif category == "Cs":
            kept.append("\ufffd")
        elif category != "Cf" and not 0xFE00 <= ord(character) <= 0xFE0F:
            kept.append(character)
    return " ".join("".join(kept).split())


@lru_cache(maxsize=4096)
def _glyph(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = load_font(name, 24).getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    """Paths of the fallback fonts that this system has; searched for only once Inter lacks a glyph."""
    home = Path.home() if os.environ.get("HOME") or os.name == "nt" else None
    folders = [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        Path("/System/Library/Fonts"),
        Path("/Library/Fonts"),
    ]
    if home is not None:
        folders += [home / ".local/share/fonts", home / ".fonts", home / "Library/Fonts"]
    for variable, below in (("WINDIR", "Fonts"), ("LOCALAPPDATA", "Microsoft/Windows/Fonts")):
        if os.environ.get(variable):
            folders.append(Path(os.environ[variable]) / below)
    found: dict[str, str] = {}
    for folder in folders:
        for root, inner, files in os.walk(folder):
            inner.sort()
            for file in sorted(files):
                if file in _FALLBACK_NAMES:
                    found.setdefault(file, os.path.join(root, file))
    return tuple(found[name] for name in _FALLBACK_NAMES if name in found)

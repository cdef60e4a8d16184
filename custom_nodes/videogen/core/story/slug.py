"""Titles as names of folders: readable, valid on every file system, and never the same for stories that are not."""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: Longest slug in characters; of four bytes each they still fit into a file name's 255.
MAX_LENGTH = 60
_DIGEST_LENGTH = 10
#: Names that Windows keeps for devices, in any case and with any suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])(?=\.|$)", re.IGNORECASE)


def slugify(title: str) -> str:
    """``"Über den Apfelbaum!"`` → ``uber_den_apfelbaum``, ``"苹果树"`` → ``苹果树``; never empty, at most `MAX_LENGTH`.

    A title in Latin letters is written in ASCII, as in all earlier releases: its folders stay where they are. Accents, case and
    punctuation make no difference there. Every other title keeps its letters and digits, and gets a digest as soon as anything
    of it was changed, dropped or cut, so that no two of them have the same slug.
    """
    former = former_slug(title)
    if _is_latin(title) and len(former) < MAX_LENGTH and not is_device_name(former):
        return former
    title = unicodedata.normalize("NFC", title)
    folded = unicodedata.normalize("NFKC", title.casefold())
    kept = "".join(character if unicodedata.category(character)[0] in "LMN" else "_" for character in folded)
    slug = re.sub("_+", "_", kept).strip("_")
    is_whole = slug == title.replace(" ", "_") and len(slug) <= MAX_LENGTH
    if is_whole and not is_device_name(slug) and not re.search(rf"_[0-9a-f]{{{_DIGEST_LENGTH}}}$", slug):
        return slug
    return add_title_digest(slug or "story", title)


def former_slug(title: str) -> str:
    """The slug of earlier releases, in ASCII; ``story`` for all titles without a Latin letter. Seeds still follow from it."""
    # ß does not decompose.
    ascii_text = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", ascii_text.lower()).strip("_")[:MAX_LENGTH].strip("_") or "story"


def add_title_digest(slug: str, title: str) -> str:
    """A slug that belongs to this very title, whatever others have the same letters."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", title).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug[: MAX_LENGTH - _DIGEST_LENGTH - 1].strip('_')}_{digest[:_DIGEST_LENGTH]}"


def is_device_name(name: str) -> bool:
    """Whether Windows takes a file name for a device, such as ``nul.png``."""
    return _DEVICES.match(name) is not None


def fold_name(name: str) -> str:
    """A file name as file systems compare it that know neither case nor composed characters (Windows, macOS)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_latin(title: str) -> bool:
    """Whether the former slug has every letter and digit of a title."""
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss"))
    # Accents are marks, M; of the rest, only punctuation and blanks may get lost.
    return any(c.isascii() and c.isalnum() for c in plain) and all(
        c.isascii() or unicodedata.category(c)[0] in "MPZ" for c in plain
    )

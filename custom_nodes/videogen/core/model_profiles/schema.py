"""Keys and limits of the files with model profiles."""

from __future__ import annotations

FAMILY_KEYS = ("family", "shared", "models")
#: Groups of facts. Each has a `source`, except `memory`, whose figures have one each.
GROUP_KEYS: dict[str, tuple[str, ...]] = {
    "frames": ("step", "offset", "least", "most", "trained", "source"),
    "fps": ("native", "least", "most", "source"),
    "size": ("multiple", "least", "area", "native", "source"),
    "inputs": ("first_frame", "last_frame", "references", "reference_videos", "reference_sounds", "source"),
    "sound": ("made", "source"),
    "prompt": ("dialect", "tokens", "characters", "words", "negative", "source"),
    "memory": (),
}
MODEL_KEYS = ("name", "title", "makes", "recognize", *GROUP_KEYS)
SIGN_KEYS = ("nodes", "also", "loaders", "files", "partner")
FIGURE_KEYS = ("gigabytes", "what", "source")

#: Forms of prompts that models were trained on; core/prompts compiles them.
PLAIN, WAN, LTX, CLAUSES, H3_KEYFRAMES, H3_REFERENCES, NO_TEXT = (
    "plain",
    "wan",
    "ltx",
    "clauses",
    "h3-keyframes",
    "h3-references",
    "none",
)
DIALECTS = (PLAIN, WAN, LTX, CLAUSES, H3_KEYFRAMES, H3_REFERENCES, NO_TEXT)

MAX_CHARACTERS = 200_000
MAX_MODELS = 200
MAX_SIGNS = 50
MAX_NAMES = 200
MAX_FRAMES = 100_000
MAX_SIDE = 16_384

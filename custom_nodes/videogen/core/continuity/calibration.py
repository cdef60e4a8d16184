"""Calibration: maps similarities of different backends so that 0.85 means the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import VideoGenError

#: Score from which a subject counts as the same. Every map has its knee here.
SAME_SUBJECT = 0.85
#: Weights of the embedding and of chroma in a subject's score.
EMBEDDING_SHARE, CHROMA_SHARE = 0.6, 0.4
#: Cosine of two SFace vectors from which OpenCV's documentation considers them one person.
SAME_FACE = 0.363
#: The backend that needs no network: companded Lab and local binary patterns.
CLASSICAL = "classical"


@dataclass(frozen=True)
class Calibration:
    """A monotone, piecewise linear map of a similarity onto 0…1: from `floor` to the knee, and from there to 1.

    Attributes:
        backend: the backend that measured the similarity.
        knee: the similarity that is mapped to `SAME_SUBJECT`. For measured backends it is the lowest at which, on one half
            of 89 AI clips, at most 5 % of the pairs of different subjects score 0.85 or above. docs/continuity.md has the
            procedure, and the results on the other half.
        measured: False when this backend has not been measured and the knee is another one's.
        floor: the similarity that is mapped to 0.
    """

    backend: str
    knee: float
    measured: bool = True
    floor: float = 0.0

    def __call__(self, similarity: float) -> float:
        if similarity < self.knee:
            return SAME_SUBJECT * max(0.0, (similarity - self.floor) / (self.knee - self.floor))
        return SAME_SUBJECT + (1 - SAME_SUBJECT) * min(1.0, (similarity - self.knee) / (1 - self.knee))

    @property
    def label(self) -> str:
        """The map in a report: ``r 0.38 → 0.85, measured``."""
        return f"r {self.knee:g} → {SAME_SUBJECT:g}, {'measured' if self.measured else 'not measured for this backend'}"


#: Backend → its map from r = (cos − lo) / (1 − lo).
CALIBRATIONS = {each.backend: each for each in (Calibration(CLASSICAL, 0.37), Calibration("mobilenet-v2", 0.38))}
#: The classical backend where neither side has color, which discriminates much less: two thirds of the pairs of one
#: subject pass, with 5 % of the others.
GRAY_CALIBRATION = Calibration("classical, without color", 0.83)
#: The map of chroma, from `compare_chroma` in metrics/descriptor.py. Unrelated colors still
#: reach 0.05: skin, shadows and gray are everywhere.
CHROMA_CALIBRATION = Calibration("chroma", 0.30, floor=0.05)


def find_calibration(backend: str) -> Calibration:
    """The map of a backend; for a network that has not been measured, the map of the measured network."""
    if backend in CALIBRATIONS:
        return CALIBRATIONS[backend]
    return Calibration(backend, CALIBRATIONS["mobilenet-v2"].knee, measured=False)


def relate_cosine(cosine: float, unrelated: float) -> float:
    """r = (cos − lo) / (1 − lo): 0 for images as different as unrelated ones, 1 for the same image.

    Args:
        unrelated: lo, the mean cosine to unrelated images.
    """
    return (cosine - unrelated) / max(1e-3, 1 - unrelated)


def fuse(embedding: float, chroma: float | None) -> float:
    """A subject's score from its two calibrated similarities; `chroma` is None where there is no color to compare."""
    return embedding if chroma is None else EMBEDDING_SHARE * embedding + CHROMA_SHARE * chroma


def require_same_backend(first: str, second: str) -> None:
    """Raise `backend-mismatch` unless two measurements were made by the same backend."""
    if first != second:
        raise VideoGenError(
            "backend-mismatch",
            f"one side was measured by {first!r} and the other by {second!r}: their scores cannot be compared",
            "Score both with the same backend: with the same CLIP Vision model, or both without one.",
        )

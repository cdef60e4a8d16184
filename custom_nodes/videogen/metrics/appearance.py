"""A subject's appearance: small enough to keep for every segment, and comparable without its frames."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.continuity.calibration import (
    CHROMA_CALIBRATION,
    CLASSICAL,
    GRAY_CALIBRATION,
    find_calibration,
    fuse,
    relate_cosine,
    require_same_backend,
)
from ..core.continuity.drift import PartColor
from ..core.errors import VideoGenError
from .baseline_images import draw_baseline_images
from .descriptor import (
    CHROMA_BINS,
    chroma_histogram,
    classical_embedding,
    compare_chroma,
    compare_classical,
    count_colors,
)
from .embedding import Embed, subject_on_gray
from .faces import FaceFinder
from .images import FLOW_SIDE, MEASURE_SIDE, PreparedImage, prepare_image
from .masks.mask_network import MaskNetwork
from .masks.subject_weight import SubjectWeight, weigh_subject
from .part_colors import measure_parts

#: A reference image whose pixels differ by less than this in every channel shows nothing.
_MIN_CONTRAST = 0.03


@dataclass(frozen=True)
class Appearance:
    """A subject in one frame.

    Attributes:
        backend: name of the `AppearanceModel` that made `vector`.
        vector: float32; of length 1 for a network, a histogram that sums to 1 for the classical model.
        unrelated: lo, its mean similarity to the baseline images.
        chroma: float32, (CHROMA_BINS, CHROMA_BINS), sums to 1.
        parts: part of the figure → its color.
        gray: whether the image has no color.
        weights: how the subject was located; see `SubjectWeight.source`.
        colors: the vector of the classical model where `vector` is a network's.
        face: float32 (128,) of length 1, where there are models for faces and one is detected.
    """

    backend: str
    vector: np.ndarray
    unrelated: float
    chroma: np.ndarray
    parts: Mapping[str, PartColor]
    gray: bool
    weights: str
    face: np.ndarray | None = None
    colors: np.ndarray | None = None

    @property
    def classical(self) -> np.ndarray | None:
        """Colors and texture (descriptor.py), whichever model made `vector`; None where another version has not kept them."""
        return self.vector if self.backend == CLASSICAL else self.colors

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, 2 to 4 kB: bytes, compressed, base64."""
        return {
            "backend": self.backend,
            "vector": _pack(self.vector),
            "unrelated": round(self.unrelated, 5),
            "chroma": _pack(self.chroma),
            "grey": self.gray,
            "weights": self.weights,
            "parts": {name: [round(v, 2) for v in (c.lightness, c.chroma, c.hue)] for name, c in self.parts.items()},
            **({} if self.face is None else {"face": _pack(self.face)}),
            **({} if self.colors is None else {"colors": _pack(self.colors)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Appearance:
        """Read the result of `to_dict`, exact to 1/255 of the largest value.

        Raises:
            VideoGenError: `frames-invalid`, for anything else.
        """
        try:
            vector, chroma = _unpack(data["vector"]), _unpack(data["chroma"]).reshape(CHROMA_BINS, CHROMA_BINS)
            parts = {str(name): PartColor(*map(float, values)) for name, values in data["parts"].items()}
            return cls(
                str(data["backend"]),
                _scaled(vector, str(data["backend"])),
                float(data["unrelated"]),
                chroma / max(1e-9, float(chroma.sum())),
                parts,
                bool(data["grey"]),
                str(data["weights"]),
                _of_length_1(_unpack(data["face"])) if "face" in data else None,
                _scaled(_unpack(data["colors"]), CLASSICAL) if "colors" in data else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            raise VideoGenError(
                "frames-invalid",
                f"this is not the appearance of a subject: {type(error).__name__}: {error}",
                "It is made by the continuity node; render and score the segment again.",
            ) from None


@dataclass(frozen=True)
class Likeness:
    """How alike two appearances are: see `SampleScore` for the fields. `identical`: they are the same image."""

    score: float
    embedding: float
    chroma: float | None
    cosine: float
    identical: bool
    face: float | None = None


class AppearanceModel:
    """Measures appearances: with the classical descriptors, or with those and an image network.

    Args:
        name: of the network, such as ``CLIP ViT-H/14``: its calibration is found by it, and appearances of different
            models are never compared.
        embed: uint8 images (n, 256, 256, 3) to vectors (n, length); None for the classical model.
        faces: describes faces in addition.
        masks: finds people in images that have no mask; without it they are found by their colors.
    """

    def __init__(
        self,
        name: str = CLASSICAL,
        embed: Embed | None = None,
        faces: FaceFinder | None = None,
        masks: MaskNetwork | None = None,
    ) -> None:
        if (embed is None) != (name == CLASSICAL):
            raise ValueError("a network has a name of its own, and the classical model has none")
        self.name = name
        self.calibration = find_calibration(name)
        self.masks = masks
        self._embed, self._faces = embed, faces
        self._baseline: np.ndarray | None = None

    def measure(self, subjects: Sequence[tuple[PreparedImage, SubjectWeight]]) -> list[Appearance]:
        """Measure the appearance of each subject; a network gets all of them in one batch.

        Args:
            subjects: images of `FLOW_SIDE`, each with its weight in the size of `MEASURE_SIDE`. None of them is empty.

        Raises:
            VideoGenError: `embedding-failed`, when the network does not return one finite vector an image.
        """
        if not subjects:
            return []
        colors = [count_colors(image.shrink(MEASURE_SIDE), weight.values) for image, weight in subjects]
        classical = embed_classical(subjects, colors)
        vectors = classical if self._embed is None else self._embed_subjects(subjects)
        baseline = self._measure_baseline()
        appearances = []
        for (image, weight), counts, vector, known in zip(subjects, colors, vectors, classical, strict=True):
            small = image.shrink(MEASURE_SIDE)
            unrelated = float(np.mean([compare_vectors(self.name, each, vector) for each in baseline]))
            appearances.append(
                Appearance(
                    self.name,
                    vector,
                    unrelated,
                    chroma_histogram(counts),
                    measure_parts(small, weight),
                    small.is_gray,
                    weight.source,
                    None if self._faces is None else self._faces.describe(image, weight.values),
                    None if self._embed is None else known,
                )
            )
        return appearances

    def measure_reference(self, image: np.ndarray, mask: np.ndarray | None = None) -> Appearance:
        """Measure a character on a reference image (alpha counts as a mask).

        Raises:
            VideoGenError: `frames-invalid`, for NaN, a mask with nothing in it, or an image of a single color.
        """
        prepared = prepare_image(image, FLOW_SIDE)
        if prepared is None:
            raise VideoGenError("frames-invalid", "the reference picture has values that are not numbers (NaN)")
        if mask is None and prepared.alpha is not None and float(prepared.alpha.max()) < 0.05:
            raise VideoGenError(
                "frames-invalid", "the reference picture is transparent all over", "Give another picture."
            )
        if mask is None and prepared.alpha is None and float(np.ptp(prepared.rgb, axis=(0, 1)).max()) < _MIN_CONTRAST:
            raise VideoGenError(
                "frames-invalid", "the reference picture shows nothing: it has a single color", "Give another picture."
            )
        found = None if mask is not None or self.masks is None else self.masks.find(prepared)
        weight = weigh_subject(prepared.shrink(MEASURE_SIDE), mask, found=found)
        if weight.is_empty:
            raise VideoGenError(
                "frames-invalid",
                "the reference's mask is empty: there is no subject to compare with",
                "Paint the subject in it, or leave the mask out.",
            )
        return self.measure([(prepared, weight)])[0]

    def _embed_subjects(self, subjects: Sequence[tuple[PreparedImage, SubjectWeight]]) -> np.ndarray:
        return self._run_network(np.stack([subject_on_gray(image, weight) for image, weight in subjects]))

    def _measure_baseline(self) -> np.ndarray:
        if self._baseline is None:
            images = [image for image in (prepare_image(each, FLOW_SIDE) for each in draw_baseline_images()) if image]
            subjects = [(image, weigh_subject(image.shrink(MEASURE_SIDE))) for image in images]
            if self._embed is None:
                colors = [count_colors(image.shrink(MEASURE_SIDE), weight.values) for image, weight in subjects]
                self._baseline = embed_classical(subjects, colors)
            else:
                self._baseline = self._embed_subjects(subjects)
        return self._baseline

    def _run_network(self, images: np.ndarray) -> np.ndarray:
        assert self._embed is not None
        vectors = np.asarray(self._embed(images), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(images) or not np.isfinite(vectors).all():
            raise VideoGenError(
                "embedding-failed",
                f"{self.name} returned values of shape {vectors.shape} for {len(images)} pictures,"
                " expected one finite vector each",
                "Score without a CLIP Vision model, or load another one.",
            )
        return np.stack([_scaled(vector, self.name) for vector in vectors])


def embed_classical(
    subjects: Sequence[tuple[PreparedImage, SubjectWeight]], colors: Sequence[np.ndarray]
) -> np.ndarray:
    """The classical embedding of each subject, given its colors (`count_colors`)."""
    return np.stack(
        [
            classical_embedding(image.shrink(MEASURE_SIDE), weight.values, counts)
            for (image, weight), counts in zip(subjects, colors, strict=True)
        ]
    )


def compare_vectors(backend: str, first: np.ndarray, second: np.ndarray) -> float:
    """The raw similarity of two vectors of one model: a cosine, or the overlap of two histograms."""
    if backend == CLASSICAL:
        return compare_classical(first, second)
    return float(np.clip(first @ second, -1, 1))


def compare_appearances(first: Appearance, second: Appearance) -> Likeness:
    """How alike two subjects are.

    Raises:
        VideoGenError: `backend-mismatch`.
    """
    require_same_backend(first.backend, second.backend)
    if first.vector.shape != second.vector.shape:
        require_same_backend(f"{first.backend} ({first.vector.size})", f"{second.backend} ({second.vector.size})")
    cosine = compare_vectors(first.backend, first.vector, second.vector)
    related = relate_cosine(cosine, (first.unrelated + second.unrelated) / 2)
    overlap = compare_chroma(first.chroma, second.chroma)
    # Two images without color share the same gray: that does not tell subjects apart.
    gray = first.gray and second.gray
    chroma = None if gray else CHROMA_CALIBRATION(overlap)
    calibration = GRAY_CALIBRATION if gray and first.backend == CLASSICAL else find_calibration(first.backend)
    embedding = calibration(related)
    identical = cosine > 1 - 1e-6 and overlap > 1 - 1e-6
    faces = first.face is not None and second.face is not None and first.face.shape == second.face.shape
    face = float(first.face @ second.face) if faces else None  # type: ignore[operator]
    return Likeness(fuse(embedding, chroma), embedding, chroma, cosine, identical, face)


def measure_likeness(first: Appearance, second: Appearance) -> float | None:
    """u: the mean of the classical similarity and that of chroma, both as measured, 0 to 1.

    Without color on both sides it is the classical one alone. None where one side has no classical embedding: another version
    of this project has written it.
    """
    one, other = first.classical, second.classical
    if one is None or other is None or one.shape != other.shape:
        return None
    alike = compare_classical(one, other)
    return alike if first.gray and second.gray else (alike + compare_chroma(first.chroma, second.chroma)) / 2


def _scaled(vector: np.ndarray, backend: str) -> np.ndarray:
    """Normalize to the length, or the sum, of its model's vectors."""
    return (
        (vector / max(1e-9, float(vector.sum()))).astype(np.float32) if backend == CLASSICAL else _of_length_1(vector)
    )


def _of_length_1(vector: np.ndarray) -> np.ndarray:
    return (vector / max(1e-9, float(np.linalg.norm(vector)))).astype(np.float32)


def _pack(values: np.ndarray) -> str:
    """Square roots in 255 steps of the largest, which suits histograms and embeddings, and a bit for each sign."""
    flat = values.ravel()
    levels = np.rint(np.sqrt(np.abs(flat) / max(1e-12, float(np.abs(flat).max()))) * 255).astype(np.uint8)
    return base64.b64encode(zlib.compress(levels.tobytes() + np.packbits(flat < 0).tobytes(), 9)).decode()


def _unpack(text: str) -> np.ndarray:
    """Undo `_pack`, except for the scale."""
    data = zlib.decompress(base64.b64decode(text, validate=True))
    count = len(data) * 8 // 9  # eight bits a value, and one for its sign
    values = (np.frombuffer(data[:count], np.uint8).astype(np.float32) / 255) ** 2
    signs = np.unpackbits(np.frombuffer(data[count:], np.uint8))[:count]
    return np.where(signs == 1, -values, values)

"""Segmentation networks that OpenCV runs: the one that install.py fetches, or one that the user has put in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...core.continuity.mask_files import FILE, HINT, OTHER_FILES, SHA256
from ...core.errors import VideoGenError
from ..images import PreparedImage

#: Side of the square that MediaPipe's network takes.
_SELFIE_SIDE = 256
#: Sides that networks of U²-Net's form take: U²-Net and its small form, IS-Net. The first that the network accepts is used.
_SQUARES = (320, 1024)
#: Mean and standard deviation of ImageNet, by which U²-Net's form expects its input (RGB, 0 to 1).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Highest output below which a network of U²-Net's form has seen no subject: its output is stretched to 0…1 otherwise.
_NOTHING = 0.1

#: RGB, float32 of shape (height, width, 3) from 0 to 1, to the mask of all subjects, float32 of any shape from 0 to 1.
Segment = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class MaskNetwork:
    """A segmentation network; any function from an image to a mask may be one.

    Attributes:
        name: for reports.
    """

    name: str
    segment: Segment

    def find(self, image: PreparedImage) -> np.ndarray | None:
        """The mask of all subjects in the shape of the image, float32 from 0 to 1; None where the network fails.

        A mask with values that are not numbers counts as a failure: it must not pass as an empty one.
        """
        try:
            mask = np.asarray(self.segment(image.rgb), np.float32)
        except cv2.error:
            return None
        if mask.ndim != 2 or 0 in mask.shape or not np.isfinite(mask).all():
            return None
        height, width = image.rgb.shape[:2]
        return np.clip(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def open_mask_network(folder: Path) -> tuple[MaskNetwork | None, list[str]]:
    """Open the network of a folder: the last ONNX file by name, else MediaPipe's.

    Returns:
        The network, or None when there is none; and a sentence for each reason why it is not the one that was expected.
    """
    notes: list[str] = []
    for path in [*sorted(folder.glob(OTHER_FILES), reverse=True), folder / FILE]:
        try:
            if path.name == FILE:
                return MaskNetwork("MediaPipe selfie", _open_selfie(path)), notes
            return MaskNetwork(path.stem, _open_u2net(path)), notes
        except VideoGenError as error:
            notes.append(f"{error.message}. {error.hint}")
    return None, notes


def _open_selfie(path: Path) -> Segment:
    """MediaPipe's selfie segmentation (Bazarevsky et al., model card of 2021), by OpenCV's reader of TFLite.

    Raises:
        VideoGenError: `metric-missing`, when the file is missing or another, or OpenCV cannot read TFLite.
    """
    try:
        content = path.read_bytes()
    except OSError:
        raise VideoGenError(
            "metric-missing", f"characters are found by their colors: {path} is missing", HINT
        ) from None
    # Only known bytes reach the reader: one that is made for trusted files may end the process on others.
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise VideoGenError(
            "metric-missing", f"characters are found by their colors: {path} is broken, or another model", HINT
        )
    reader = getattr(getattr(cv2, "dnn", None), "readNetFromTFLite", None)
    try:
        if reader is None:
            raise cv2.error("it has no reader of TFLite")
        net = reader(np.frombuffer(content, np.uint8))
        run = _runner(net, lambda rgb: rgb, _SELFIE_SIDE)
        run(np.full((8, 8, 3), 0.5, np.float32))
    except (cv2.error, AttributeError) as error:
        raise VideoGenError(
            "metric-missing",
            f"characters are found by their colors: OpenCV {cv2.__version__} cannot read {path.name}"
            f" ({_first_line(error)})",
            "Install opencv-python-headless 4.9 or newer into ComfyUI's Python.",
        ) from None
    return run


def _open_u2net(path: Path) -> Segment:
    """A network of U²-Net's form (Qin et al., Pattern Recognition 106, 2020): normalized RGB in, the subject's map out.

    Raises:
        VideoGenError: `metric-missing`, when OpenCV cannot read or run it.
    """
    try:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
    except (cv2.error, OSError, AttributeError) as error:
        raise _unusable(path, error) from None
    mean, deviation = np.array(_MEAN, np.float32), np.array(_DEVIATION, np.float32)
    last: Exception | None = None
    for side in _SQUARES:
        run = _runner(net, lambda rgb: (rgb / max(1e-6, float(rgb.max())) - mean) / deviation, side)
        try:
            mask = run(np.full((8, 8, 3), 0.5, np.float32))
        except cv2.error as error:
            last = error
            continue
        if mask.ndim == 2 and np.isfinite(mask).all():
            return lambda rgb, run=run: _stretch(run(rgb))  # type: ignore[misc]
        last = ValueError(f"its output has shape {mask.shape}")
    assert last is not None
    raise _unusable(path, last)


def _unusable(path: Path, error: Exception) -> VideoGenError:
    return VideoGenError(
        "metric-missing",
        f"{path} is not used for masks: OpenCV cannot run it ({_first_line(error)})",
        "Expected a network of U²-Net's form (ONNX, normalized RGB of 320 or 1024 pixels in, one map out).",
    )


def _runner(net: cv2.dnn.Net, normalize: Callable[[np.ndarray], np.ndarray], side: int) -> Segment:
    """A function that resizes an image to a square, and returns the first channel of the network's first output."""

    def run(rgb: np.ndarray) -> np.ndarray:
        square = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
        net.setInput(np.ascontiguousarray(normalize(square).transpose(2, 0, 1)[None], np.float32))
        mask = np.asarray(net.forward())
        while mask.ndim > 2 and mask.shape[0] == 1:
            mask = mask[0]
        return mask[..., 0] if mask.ndim == 3 and mask.shape[-1] == 1 else mask

    return run


def _stretch(mask: np.ndarray) -> np.ndarray:
    """The map from its lowest to its highest value, as U²-Net's own code shows it; nothing where it has seen nothing."""
    low, high = float(mask.min()), float(mask.max())
    return np.zeros_like(mask) if high < _NOTHING else (mask - low) / max(1e-6, high - low)


def _first_line(error: Exception) -> str:
    """What OpenCV says, without its place in the source."""
    said = getattr(error, "err", "") or str(error)
    return said.strip().splitlines()[0][:160] if said.strip() else type(error).__name__

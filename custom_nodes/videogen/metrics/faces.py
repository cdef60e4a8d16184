"""Faces, where OpenCV's two models for them are installed: a second opinion on a character's identity."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..core.errors import VideoGenError
from .images import PreparedImage

#: File names of OpenCV's model zoo; of several versions the last one by name is used.
DETECTOR_FILES, RECOGNIZER_FILES = "face_detection_yunet_*.onnx", "face_recognition_sface_*.onnx"
WHERE_FROM = (
    "They are in OpenCV's model zoo, https://github.com/opencv/opencv_zoo, in models/face_detection_yunet and"
    " models/face_recognition_sface. Without them subjects are compared as a whole."
)
#: The square that YuNet looks at. The files of 2023 have it fixed, and OpenCV 5 does not resize their input.
_DETECTOR_SIDE = 640
_MIN_CONFIDENCE = 0.7


class FaceFinder:
    """Finds the face of a subject and makes a vector of it.

    YuNet: Wu et al., Machine Intelligence Research 20, 2023. SFace: Zhong et al., IEEE Transactions on Image Processing 30, 2021.

    Args:
        folder: with the model files of both.

    Raises:
        VideoGenError: `metric-missing`, when one of them is not there or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        found = {pattern: sorted(folder.glob(pattern)) for pattern in (DETECTOR_FILES, RECOGNIZER_FILES)}
        missing = [pattern for pattern, files in found.items() if not files]
        if missing:
            where = str(folder) if folder.is_dir() else f"{folder}, which is not there"
            raise VideoGenError("metric-missing", f"faces need {' and '.join(missing)} in {where}", WHERE_FROM)
        detector, recognizer = (str(files[-1]) for files in found.values())
        side = (_DETECTOR_SIDE, _DETECTOR_SIDE)
        try:
            self._detector = cv2.FaceDetectorYN.create(detector, "", side, _MIN_CONFIDENCE)
            self._recognizer = cv2.FaceRecognizerSF.create(recognizer, "")
        except cv2.error as error:
            raise VideoGenError(
                "metric-missing",
                f"the face models in {folder} cannot be read: {error.err}",
                "Download them again, or move them away: without them subjects are compared as a whole.",
            ) from None

    def describe(self, image: PreparedImage, weight: np.ndarray) -> np.ndarray | None:
        """The vector (128,) of the face that weighs most, of length 1; None where none is seen.

        Args:
            weight: the subject's, of any size; faces outside of it belong to other characters.
        """
        square, scale = _letterbox(image.rgb)
        _, faces = self._detector.detect(square)
        if faces is None or not len(faces):
            return None
        height, width = (round(side * scale) for side in image.rgb.shape[:2])
        weight = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
        best = max(faces, key=lambda face: _weigh(weight, face))
        if _weigh(weight, best) <= 0:
            return None
        vector = self._recognizer.feature(self._recognizer.alignCrop(square, best)).ravel().astype(np.float32)
        return vector / max(1e-9, float(np.linalg.norm(vector)))


def find_faces(folder: Path) -> FaceFinder | None:
    """Return the finder of faces, or None where its models are missing.

    Raises:
        VideoGenError: `metric-missing`, when only one of the two models is there, or one cannot be read.
    """
    there = [any(folder.glob(pattern)) for pattern in (DETECTOR_FILES, RECOGNIZER_FILES)]
    return FaceFinder(folder) if any(there) else None


def _letterbox(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """The image as BGR bytes in the upper left of the detector's square, and by what it was scaled."""
    height, width = rgb.shape[:2]
    scale = _DETECTOR_SIDE / max(height, width)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=method)
    square = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.uint8)
    square[: small.shape[0], : small.shape[1]] = np.rint(np.clip(small[..., ::-1], 0, 1) * 255)
    return square, scale


def _weigh(weight: np.ndarray, face: np.ndarray) -> float:
    left, top, width, height = (round(float(value)) for value in face[:4])
    return float(weight[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)].sum())

"""Faces, where OpenCV's two models for them lie on the disk: a second opinion on who somebody is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..core.errors import VideoGenError
from .pictures import Picture

#: File names of the models, as OpenCV's model zoo gives them out.
DETECTOR_FILE, RECOGNISER_FILE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
#: Cosine of two SFace vectors from which on OpenCV's documentation calls them one person.
SAME_FACE = 0.363
_LEAST_CONFIDENCE = 0.7


class FaceFinder:
    """Finds the largest face of a subject and makes a vector of it (YuNet and SFace).

    Args:
        folder: where both model files lie.

    Raises:
        VideoGenError: `metric-missing`, when one of them is not there or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in (DETECTOR_FILE, RECOGNISER_FILE) if not (folder / name).is_file()]
        if missing:
            raise VideoGenError(
                "metric-missing", f"faces need {' and '.join(missing)} in {folder}",
                "They are in OpenCV's model zoo (opencv/opencv_zoo). Without them subjects are compared as a whole.",
            )  # fmt: skip
        try:
            self._detector = cv2.FaceDetectorYN.create(str(folder / DETECTOR_FILE), "", (320, 320), _LEAST_CONFIDENCE)
            self._recogniser = cv2.FaceRecognizerSF.create(str(folder / RECOGNISER_FILE), "")
        except cv2.error as error:
            raise VideoGenError("metric-missing", f"the face models in {folder} cannot be read: {error.err}") from None

    def describe(self, picture: Picture, weight: np.ndarray) -> np.ndarray | None:
        """The vector (128,) of the face that weighs most, of length 1; None where none is seen.

        Args:
            weight: the subject's, of any size; faces outside of it are somebody else's.
        """
        height, width = picture.rgb.shape[:2]
        bgr = np.ascontiguousarray(np.rint(picture.rgb[..., ::-1] * 255).astype(np.uint8))
        self._detector.setInputSize((width, height))
        _, faces = self._detector.detect(bgr)
        if faces is None or not len(faces):
            return None
        weight = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
        best = max(faces, key=lambda face: _weigh(weight, face))
        if _weigh(weight, best) <= 0:
            return None
        vector = self._recogniser.feature(self._recogniser.alignCrop(bgr, best)).ravel().astype(np.float32)
        return vector / max(1e-9, float(np.linalg.norm(vector)))


def _weigh(weight: np.ndarray, face: np.ndarray) -> float:
    left, top, width, height = (round(float(value)) for value in face[:4])
    return float(weight[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)].sum())

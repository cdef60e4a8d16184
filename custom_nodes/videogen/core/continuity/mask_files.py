"""The segmentation network that finds people in frames: its file, and where it comes from."""

from __future__ import annotations

#: The folder in ComfyUI's `models` with networks for masks of subjects.
FOLDER = "videogen"
#: MediaPipe's selfie segmentation (Apache-2.0): 256×256 pixels, RGB from 0 to 1, one channel out.
FILE = "selfie_segmentation.tflite"
SHA256 = "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
#: Networks of users in U²-Net's form (https://github.com/xuebinqin/U-2-Net): they replace MediaPipe's.
OTHER_FILES = "*.onnx"
HINT = (
    f"install.py puts {FILE} into ComfyUI's models/{FOLDER}; it is in the package mediapipe 0.10.14. Without it, characters"
    " are found by their colors."
)

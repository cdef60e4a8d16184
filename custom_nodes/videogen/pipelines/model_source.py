"""Where a model is: a folder of ComfyUI's models, the cache of the hub, or the hub itself, where the user allows that."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..core.errors import VideoGenError
from ..core.similar_names import SimilarNames
from .model_index import CONFIG, INDEX
from .packages import need_package

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
#: What is downloaded of a model: weights as safetensors, and texts. No programs and no pickles.
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
#: Set in the server's environment, it lets the `download` widget take any model of the hub.
ANY_DOWNLOAD = "VIDEOGEN_DIFFUSERS_DOWNLOAD"
#: Models that the widget alone may download: a shared workflow can have it switched on.
KNOWN_MODELS = (
    "zai-org/CogVideoX-5b-I2V",
    "zai-org/CogVideoX1.5-5B-I2V",
    "THUDM/CogVideoX-5b-I2V",
    "THUDM/CogVideoX1.5-5B-I2V",
    "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers",
    "Skywork/SkyReels-V2-DF-14B-540P-Diffusers",
    "Skywork/SkyReels-V2-DF-14B-720P-Diffusers",
    "Skywork/SkyReels-V2-T2V-14B-540P-Diffusers",
    "Skywork/SkyReels-V2-T2V-14B-720P-Diffusers",
    "Skywork/SkyReels-V2-I2V-1.3B-540P-Diffusers",
    "Skywork/SkyReels-V2-I2V-14B-540P-Diffusers",
    "Skywork/SkyReels-V2-I2V-14B-720P-Diffusers",
    "hunyuanvideo-community/HunyuanVideo",
    "lllyasviel/FramePackI2V_HY",
    "lllyasviel/FramePack_F1_I2V_HY_20250503",
    "lllyasviel/flux_redux_bfl",
)
#: Folders below a models folder in which models are looked for.
_DEPTH = 2


@dataclass(frozen=True)
class ModelFolders:
    """ComfyUI's folders of diffusers models.

    Attributes:
        roots: ``models/diffusers``, and those of its `extra_model_paths.yaml`.
        download: whether the user has allowed to download what is missing.
    """

    roots: tuple[Path, ...]
    download: bool = False

    def find_all(self) -> dict[str, Path]:
        """Name → folder of everything that may be a model or a part of one."""
        found: dict[str, Path] = {}
        for root in self.roots:
            for folder in _walk(root, _DEPTH):
                found.setdefault(folder.relative_to(root).as_posix(), folder)
        return found

    def list_models(self) -> list[str]:
        """Names of whole models."""
        return sorted(name for name, folder in self.find_all().items() if (folder / INDEX).is_file())

    def resolve_listed(self, name: str, what: str) -> Path:
        """The folder of a model by its name in the list, and by nothing else.

        Raises:
            VideoGenError: `model-missing`.
        """
        there = self.find_all()
        return there[name] if name in there else self._refuse_name(name, what, there)

    def resolve(self, name: str, what: str, without: str = "") -> Path:
        """The folder of a model by its name in the folders, or by its id on the hub.

        Args:
            what: names the input in messages, such as "`hub_id`".
            without: a component that comes from elsewhere, and is not downloaded.

        Raises:
            VideoGenError: `model-missing`, `download-failed`, `package-missing`.
        """
        name = name.strip()
        there = self.find_all()
        if name in there:
            return there[name]
        if not _HUB_ID.fullmatch(name) or ".." in name or "--" in name:
            self._refuse_name(name, what, there)
        owner, _, short = name.partition("/")
        for local in (f"{owner}--{short}", short):
            if local in there:
                return there[local]
        return _find_in_cache(name) or self._download(name, what, without)

    def _refuse_name(self, name: str, what: str, there: Iterable[str]) -> NoReturn:
        names = sorted(there)
        similar = SimilarNames().find(name, names, 0.6)
        meant = f" (did you mean {similar!r}?)" if similar else ""
        raise VideoGenError(
            "model-missing",
            f"{what} is {name!r}{meant}: neither a folder in models/diffusers"
            f" (there are: {', '.join(names[:20]) or 'none'}) nor an id of the hub such as zai-org/CogVideoX-5b-I2V",
        )

    def _download(self, name: str, what: str, without: str) -> Path:
        target = self.roots[0] / name.replace("/", "--")
        left_out = [f"{without}/*"] if without else []
        command = " ".join([f"hf download {name} --local-dir {target}", *(f'--exclude "{part}"' for part in left_out)])
        by_hand = f"`{command}` gets it" + ("; or switch `download` on." if name in KNOWN_MODELS else ".")
        if not self.download:
            raise VideoGenError(
                "model-missing",
                f"{what} names {name}, which is neither in models/diffusers nor in the cache of the hub, and `download` is off",
                by_hand,
            )
        if name not in KNOWN_MODELS and os.environ.get(ANY_DOWNLOAD) != "any":
            raise VideoGenError(
                "model-missing",
                f"{what} names {name}, which is none of the models that a workflow may download",
                f"{by_hand} Or start ComfyUI with {ANY_DOWNLOAD}=any in its environment.",
            )
        hub = need_package("huggingface_hub")
        try:
            options = {"allow_patterns": list(_FILES), "ignore_patterns": left_out}
            return Path(hub.snapshot_download(name, local_dir=str(target), **options))
        except Exception as error:  # of the network, the disk, or the hub's answers
            raise VideoGenError(
                "download-failed",
                f"{name} could not be downloaded: {_first_line(error)}",
                "The same run resumes it with what is there.",
            ) from None


def _find_in_cache(name: str) -> Path | None:
    try:
        hub = need_package("huggingface_hub")
        folder = Path(hub.snapshot_download(name, local_files_only=True))
    except Exception:  # not there, or not readable
        return None
    return folder if _is_model(folder) else None


def _is_model(folder: Path) -> bool:
    """Whether a folder has a model's index, a component's configuration, or an image encoder."""
    return (folder / INDEX).is_file() or (folder / CONFIG).is_file() or (folder / "image_encoder").is_dir()


def _walk(root: Path, depth: int) -> Iterable[Path]:
    """Folders with a model's index, a component's, or parts of one; links of the owner are followed."""
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return
    for folder in folders:
        if _is_model(folder):
            yield folder
        elif depth > 1:
            yield from _walk(folder, depth - 1)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__

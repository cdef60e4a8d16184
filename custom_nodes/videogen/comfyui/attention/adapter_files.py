"""Read IP-Adapter files without running code that they contain.

This needs nothing of ComfyUI; it is here because `tensor` opens no files.
"""

from __future__ import annotations

import contextlib
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from ...core.errors import VideoGenError
from ...tensor.ip_adapter.adapter import IPAdapter
from ...tensor.ip_adapter.checkpoint import GET_ONE, State, published_names, recognize

FILE_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")

#: What failed downloads leave in place of a file, by its first bytes.
NOT_WEIGHTS = {b"version https://git-lfs": "a pointer of Git LFS", b"<!": "a web page", b"<html": "a web page"}

#: The modules that the pickle of a file with tensors only may name.
_TENSOR_MODULES = {"torch", "torch._utils", "torch._tensor", "torch.storage", "collections", "_codecs", "numpy"}

#: Bytes of a pickle that are searched; the names precede the numbers.
_SEARCHED_BYTES = 16 * 1024 * 1024
#: Bytes that a file may have more inside than it has itself. torch packs nothing, and no two tensors are one for long.
_SLACK, _SHARED = 1024 * 1024, 4
#: Entries of a file's nested dictionaries; an adapter has some hundreds.
_MAX_ENTRIES = 100_000


def load_adapter(path: Path) -> IPAdapter:
    """Load the adapter in a file.

    Raises:
        VideoGenError: `adapter-unreadable` or `adapter-invalid`; see `read_adapter_file` and `recognize`.
    """
    return IPAdapter.from_state(read_adapter_file(path), path.name)


def read_adapter_file(path: Path) -> State:
    """Read the tensors of an IP-Adapter file under their published names, on the CPU, in the file's precision.

    Args:
        path: ``.safetensors``, or a torch file (``.bin``, ``.pt``, ``.pth``, ``.ckpt``) with tensors only.

    Raises:
        VideoGenError: `adapter-unreadable` (missing, truncated, a pickle that would run code), `adapter-invalid` (no IP-Adapter;
            of a safetensors file only the header is read before this is raised).
    """
    if not path.is_file():
        raise VideoGenError("adapter-unreadable", f"the IP-Adapter {path} does not exist", GET_ONE)
    if path.stat().st_size == 0:
        raise VideoGenError("adapter-unreadable", f"the IP-Adapter {path.name} is empty", "Download it again.")
    try:
        beginning = _first_bytes(path, 64).lstrip()
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error
    for start, what in NOT_WEIGHTS.items():
        if beginning.startswith(start):
            raise VideoGenError(
                "adapter-unreadable", f"the IP-Adapter {path.name} is {what}, not the file itself", "Download it again."
            )
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return published_names(read_torch_file(path))


def _read_safetensors(path: Path) -> State:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - not a mapping
            # Of a checkpoint of many gigabytes that was picked by mistake, only the header is read.
            recognize(
                published_names({key: torch.empty(shape, device="meta") for key, shape in shapes.items()}), path.name
            )
            return published_names({key: file.get_tensor(key) for key in shapes})
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error)) from error


def read_torch_file(path: Path, what: str = "the IP-Adapter") -> dict[str, Tensor]:
    """Read the tensors of a torch file by name, nested dictionaries joined by dots; on the CPU.

    Args:
        what: names the file in messages. A single tensor has the name "".

    Raises:
        VideoGenError: `adapter-unreadable`, for a file that is truncated, no torch file, larger inside than outside, or a
            pickle that would run code.
    """
    try:
        _require_unpacked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's protocol, for files that are refused anyway
            tensors = _flatten(torch.load(path, map_location="cpu", weights_only=True))
        _require_backed(tensors, path)
        return tensors
    # Damaged bytes make the reader fail in any way.
    except Exception as error:
        code = called_names(path)
        if code:
            raise VideoGenError(
                "adapter-unreadable",
                f"{what} {path.name} contains code that loading would run: {', '.join(code[:3])}",
                "Use the .safetensors file of the same adapter, or download it again from its authors."
                if what == "the IP-Adapter"
                else "Do not use it: a file of tensors has none.",
            ) from error
        # torch's messages continue with advice, such as to load the file including its code.
        known = not isinstance(error, (pickle.UnpicklingError, KeyError))
        raise damaged(path, str(error).partition(". ")[0] if known else "it is not a file of tensors", what) from error


def damaged(path: Path, reason: str, what: str = "the IP-Adapter") -> VideoGenError:
    """The error for a file that cannot be read."""
    return VideoGenError(
        "adapter-unreadable",
        f"{what} {path.name} ({path.stat().st_size} bytes) cannot be read: {reason or 'it ends too early'}",
        "It may not have been downloaded completely; download it again.",
    )


def called_names(path: Path) -> list[str]:
    """The callables in a file's pickle that do not make tensors, such as ``posix.system``; the pickle is read, not run."""
    names: dict[str, None] = {}
    words: list[str] = []
    # Of a damaged pickle, the part before the damage.
    with contextlib.suppress(Exception):
        for operation, argument, _ in pickletools.genops(_pickle_of(path)):
            if operation.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
            elif operation.name == "STACK_GLOBAL" and len(words) > 1:
                module, name = words[-2:]
            else:
                if isinstance(argument, str):
                    words.append(argument)
                continue
            if module not in _TENSOR_MODULES and not module.startswith("numpy."):
                names[f"{module}.{name}"] = None
    return list(names)


def _pickle_of(path: Path) -> bytes:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            return archive.open(name).read(_SEARCHED_BYTES)
    content = _first_bytes(path, _SEARCHED_BYTES)
    # torch's older files are several pickles one after the other: a number, a version, the machine, and then the content.
    for _ in range(3):
        end = next(
            (position for operation, _, position in pickletools.genops(content) if operation.name == "STOP"), None
        )
        if end is None or end + 1 >= len(content) or end > 200:
            break
        content = content[end + 1 :]
    return content


def _first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _require_unpacked(path: Path) -> None:
    """Refuse an archive that is larger unpacked than packed: torch writes none, and ten megabytes can unpack to ten gigabytes.

    Raises:
        ValueError
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        inside = sum(entry.file_size for entry in archive.infolist())
    if inside > path.stat().st_size + _SLACK:
        raise ValueError(f"it unpacks to {inside:,} bytes, which no file of tensors does")


def _require_backed(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that repeat a few bytes over and over: used, each of them takes the memory of its shape.

    Raises:
        ValueError
    """
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if total > _SHARED * path.stat().st_size + _SLACK:
        raise ValueError(f"its tensors have {total:,} bytes, many times those of the file")


def _flatten(content: object) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    pending = [("", content)]
    # Counted, as dictionaries can hold each other: sixty of them can have a trillion entries.
    for _ in range(_MAX_ENTRIES):
        if not pending:
            return tensors
        prefix, one = pending.pop()
        if isinstance(one, Tensor):
            tensors[prefix] = one
        elif isinstance(one, Mapping):
            items = [(f"{prefix}.{key}" if prefix else str(key), value) for key, value in one.items()]
            pending.extend(reversed(items))
    raise ValueError(f"it has more than {_MAX_ENTRIES:,} entries")

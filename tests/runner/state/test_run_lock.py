"""The lock of a run directory: one runner at a time, and a dead one's lock counts for nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from custom_nodes.videogen.core.errors import VideoGenError
from runner.state.run_directory import RunDirectory
from runner.state.run_lock import RunLock, is_runner_at_work

PROJECT = Path(__file__).resolve().parents[3]

WITHOUT_FLOCK = """
import errno, fcntl
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""
WORK = """
import sys; from pathlib import Path; from runner.state.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1]), 'Tiny'): print('working', flush=True); sys.stdin.read()
"""
#: Takes the lock over and over; whoever has it makes a file that only one can make.
RACE = """
import sys; from pathlib import Path; from runner.state import run_lock
from custom_nodes.videogen.core.errors import VideoGenError
run_lock._read_owner = lambda path: None  # which waits for a number
folder, taken = Path(sys.argv[1]), 0
inside = folder.with_name('inside')
print('ready', flush=True); sys.stdin.readline()
for _ in range(100):
    try:
        lock = run_lock.RunLock(folder)
    except VideoGenError as error:
        assert error.code == 'run-directory-busy', error
    else:
        inside.touch(exist_ok=False); inside.unlink()
        taken += 1
        lock.release()
print(taken)
"""

#: The same, where the owner's number decides between the two kinds of lock.
RACE_FOR_EITHER = RACE.replace("run_lock._read_owner = lambda path: None", "pass")


@contextlib.contextmanager
def another_runner(path: Path, before: str = "") -> Iterator[int]:
    """A process that works in a run directory; yields its number."""
    with subprocess.Popen(
        [sys.executable, "-c", before + WORK, str(path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        yield process.pid
        process.kill()


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    process.wait(timeout=5)


def error_of(path: Path) -> VideoGenError:
    with pytest.raises(VideoGenError) as caught, RunDirectory(path, "Tiny"):
        pass
    return caught.value


def test_a_second_runner_is_told_who_works_there(tmp_path: Path) -> None:
    with another_runner(tmp_path / "run") as pid:
        error = error_of(tmp_path / "run")
        assert (error.code, error.exit_status) == ("run-directory-busy", 2)
        assert f"a runner with process number {pid} is working in {tmp_path / 'run'}" in error.message
        assert "--out" in error.hint
        # Being refused does not take the lock away.
        assert error_of(tmp_path / "run").code == "run-directory-busy"


def test_a_second_run_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "Tiny"):
        assert str(os.getpid()) in error_of(tmp_path).message


def test_the_lock_of_a_runner_that_was_killed_counts_for_nothing(tmp_path: Path) -> None:
    with another_runner(tmp_path) as pid:
        kill(pid)
        assert (tmp_path / "runner.lock").exists()
        with RunDirectory(tmp_path, "Tiny"):
            error = error_of(tmp_path)
            assert error.code == "run-directory-busy"
            # Not the dead one's.
            assert f"process number {os.getpid()} " in error.message
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("runner.")] == []


@pytest.mark.parametrize(
    "content",
    ["", "garbage", "{}", "[]", '{"pid": 999999999, "started": 1}', f'{{"pid": {os.getpid()}, "started": 1}}'],
    ids=["empty", "garbage", "nobody", "list", "dead", "the number was used again"],
)
def test_a_lock_without_a_living_owner_is_taken(tmp_path: Path, content: str) -> None:
    """Earlier versions wrote the owner's number into the lock file itself."""
    lock = tmp_path / "runner.lock"
    lock.write_text(content)
    os.utime(lock, (1e9, 1e9))
    with RunDirectory(tmp_path, "Tiny"):
        assert lock.exists()
        assert (tmp_path / "runner.pid").read_text().split()[0] == str(os.getpid())
    assert not lock.exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "garbage",
        "-1 1",
        "999999999 1",
        f"{'9' * 30} 1",
        f"{os.getpid()} 1",
        f"{os.getpid()} {'9' * 400}",
        f"{os.getpid()}",
    ],
    ids=["empty", "garbage", "negative", "dead", "too large", "used again", "endless", "without its start"],
)
def test_an_owner_that_cannot_be_told_is_another_runner(tmp_path: Path, content: str) -> None:
    with RunDirectory(tmp_path, "Tiny"):
        (tmp_path / "runner.pid").write_text(content)
        error = error_of(tmp_path)
    assert error.message == f"another runner is working in {tmp_path}"


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunDirectory(tmp_path, "Tiny"):
        raise KeyboardInterrupt
    with RunDirectory(tmp_path, "Tiny"):
        pass


@pytest.mark.parametrize(
    "programs",
    [[RACE] * 4, [WITHOUT_FLOCK + RACE] * 4, [RACE_FOR_EITHER, WITHOUT_FLOCK + RACE_FOR_EITHER] * 2],
    ids=["locks", "no locks", "locks for some"],
)
def test_of_runners_that_race_for_a_lock_only_one_has_it(tmp_path: Path, programs: list[str]) -> None:
    """Also while its owner removes the file, and from the first moment, when a dead one's is taken over."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "runner.lock").write_text('{"pid": 999999999, "started": 1}')
    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, str(run)],
                    cwd=PROJECT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for program in programs
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        ended = [racer.communicate("go\n", timeout=60) for racer in racers]
    assert [error for _, error in ended if error] == []
    assert all(int(taken) > 0 for taken, _ in ended)
    assert not (run / "runner.lock").exists()


def test_a_lock_that_is_removed_while_another_runner_takes_it_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has opened the file when the owner ends, and a third runner makes a new one before it locks the old one."""
    fcntl = pytest.importorskip("fcntl")
    locks, flock = [RunLock(tmp_path)], fcntl.flock

    def hand_over(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        locks[0].release()
        locks.append(RunLock(tmp_path))
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", hand_over)
    with pytest.raises(VideoGenError, match=f"process number {os.getpid()} "):
        RunLock(tmp_path)
    assert len(locks) == 2
    locks[1].release()


def test_the_lock_file_is_removed_while_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the file that another runner has taken meanwhile would be removed."""
    lock, unlink, refused = RunLock(tmp_path), Path.unlink, []

    def try_to_take(path: Path, missing_ok: bool = False) -> None:
        if path.name == "runner.lock":
            monkeypatch.setattr(Path, "unlink", unlink)
            with pytest.raises(VideoGenError) as caught:
                RunLock(tmp_path)
            refused.append(caught.value.code)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", try_to_take)
    lock.release()
    assert refused == ["run-directory-busy"]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_may_not_be_written_is_named_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everything: the refusal is the library's answer to EACCES."""
    (tmp_path / "runner.lock").write_text("another user's")

    def refuse(self: FileLock, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "runner.lock"))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert error_of(tmp_path).code == "path-invalid"
    assert (tmp_path / "runner.lock").read_text() == "another user's"


# ------------------------------------------------------------------ file systems without locks


@pytest.fixture
def _no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_lock_file_that_cannot_be_opened_is_named_and_stays(tmp_path: Path) -> None:
    """It may be the lock of another user's runner."""
    (tmp_path / "runner.lock").mkdir()
    error = error_of(tmp_path)
    assert error.code == "path-invalid"
    assert (tmp_path / "runner.lock").is_dir()


@pytest.mark.usefixtures("_no_flock")
def test_a_file_system_without_locks_has_a_lock_too(tmp_path: Path) -> None:
    with another_runner(tmp_path, WITHOUT_FLOCK) as pid:
        assert f"process number {pid} " in error_of(tmp_path).message
        kill(pid)
        with RunDirectory(tmp_path, "Tiny"):
            assert f"process number {os.getpid()} " in error_of(tmp_path).message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl", "segments"]


NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO]


@contextlib.contextmanager
def without_flock(error: int = errno.ENOLCK) -> Iterator[None]:
    """The system locks no file in this process; others may have better luck."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        yield


@pytest.mark.parametrize("error", NO_LOCKS, ids=errno.errorcode.get)
@pytest.mark.filterwarnings("error")
def test_where_locks_run_out_the_lock_of_a_runner_that_got_one_counts(tmp_path: Path, error: int) -> None:
    with another_runner(tmp_path) as pid, without_flock(error):
        found = error_of(tmp_path)
        assert found.code == "run-directory-busy"
        assert f"process number {pid} " in found.message
        assert (tmp_path / "runner.lock").exists()
        assert (tmp_path / "runner.pid").exists()
        kill(pid)
        with RunDirectory(tmp_path, "Tiny"):
            assert f"process number {os.getpid()} " in error_of(tmp_path).message
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("runner.")] == []


def test_where_locks_come_back_the_lock_of_a_runner_that_got_none_counts(tmp_path: Path) -> None:
    with another_runner(tmp_path, WITHOUT_FLOCK) as pid:
        assert f"process number {pid} " in error_of(tmp_path).message
        # Being refused leaves no lock behind.
        assert f"process number {pid} " in error_of(tmp_path).message
        kill(pid)
        with RunDirectory(tmp_path, "Tiny"):
            assert f"process number {os.getpid()} " in error_of(tmp_path).message
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("runner.")] == []


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EACCES, errno.EPERM], ids=errno.errorcode.get)
def test_a_lock_that_cannot_be_asked_for_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    (tmp_path / "runner.lock").touch()
    monkeypatch.setattr("runner.state.run_lock.FileLock.acquire", refuse)
    with pytest.raises(OSError, match=os.strerror(error)):
        RunLock(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runner.lock"]


def test_a_number_that_was_used_again_is_no_runner_at_work(tmp_path: Path) -> None:
    (tmp_path / "runner.pid").write_text(f"{os.getpid()} 1\n")
    assert not is_runner_at_work(tmp_path)
    with without_flock(), RunDirectory(tmp_path, "Tiny"):
        assert is_runner_at_work(tmp_path)
    assert not is_runner_at_work(tmp_path)

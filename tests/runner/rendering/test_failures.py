"""Telling failures apart: by the type of what a node raised, by the codes of the runner's own errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ERROR_CODES, SensorUnreadableError, TooHotError, VideoGenError
from custom_nodes.videogen.core.thermal.guard import ThermalGuard, ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from custom_nodes.videogen.core.thermal.wait import wait_while_hot
from custom_nodes.videogen.media.os_errors import explain_os_error
from runner.comfyui.outcome import Outcome, read_outcome
from runner.rendering.failures import SERVER_FAILURES, Failure, classify_error, classify_outcome, sign_failure
from runner.rendering.retries import Remedy, choose_remedy, segment_remedies


@pytest.mark.parametrize(
    ("kind", "message", "failure"),
    [
        ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 3.96 GiB.", Failure.OUT_OF_MEMORY),
        ("torch.cuda.OutOfMemoryError", "Allocation on device", Failure.OUT_OF_MEMORY),
        ("RuntimeError", "CUDA error: out of memory", Failure.OUT_OF_MEMORY),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: not enough memory", Failure.OUT_OF_MEMORY),
        ("OSError", "[Errno 12] Cannot allocate memory", Failure.OUT_OF_MEMORY),
        ("OSError", "[Errno 28] No space left on device", Failure.DISK_FULL),
        ("OSError", "[Errno 122] Disk quota exceeded", Failure.DISK_FULL),
        ("ValueError", "shapes do not match", Failure.NODE_ERROR),
        ("", "", Failure.NODE_ERROR),
    ],
)
def test_what_a_node_raised_is_told_by_its_type_and_words(kind: str, message: str, failure: Failure) -> None:
    assert classify_outcome(Outcome("error", message, exception_type=kind)) is failure


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("RuntimeError", "CUDA error: an illegal memory access was encountered"),
        ("torch.AcceleratorError", "CUDA error: device-side assert triggered"),
        ("torch.AcceleratorError", "in words that nobody has seen yet"),
        ("RuntimeError", "CUDA error: unspecified launch failure"),
        ("RuntimeError", "CUDA driver error: unknown error"),
        ("RuntimeError", "HIP error: the operation cannot be performed in the present state"),
        ("RuntimeError", "hipErrorLaunchFailure"),
        ("RuntimeError", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        ("RuntimeError", "CUDNN_STATUS_NOT_INITIALIZED"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        ("RuntimeError", "MIOpen Error: miopenStatusInternalError"),
        ("RuntimeError", "level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)"),
        ("pynvml.NVMLError_GpuIsLost", "GPU is lost"),
        ("RuntimeError", "Uncorrectable ECC error encountered"),
    ],
)
def test_a_dead_device_is_the_server_s_failure(kind: str, message: str) -> None:
    failure = classify_outcome(Outcome("error", f"node 3 (KSampler): {message}", exception_type=kind))
    assert failure is Failure.DEVICE
    assert failure in SERVER_FAILURES


@pytest.mark.parametrize(
    "message",
    [
        "Expected all tensors to be on the same device, but found cuda:0 and cpu",
        "an error in cuda.py",
        "CUDNN_STATUS_NOT_SUPPORTED",
        "Torch not compiled with CUDA enabled",
    ],
)
def test_not_every_word_about_a_device_means_that_it_is_dead(message: str) -> None:
    assert classify_outcome(Outcome("error", message, exception_type="RuntimeError")) is Failure.NODE_ERROR


def test_memory_comes_before_the_device() -> None:
    for message in ("CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED", "hipErrorOutOfMemory"):
        assert (
            classify_outcome(Outcome("error", message, exception_type="torch.AcceleratorError"))
            is Failure.OUT_OF_MEMORY
        )


def test_failures_that_differ_in_numbers_and_quotes_are_the_same() -> None:
    def sign(message: str, kind: str = "ValueError") -> str:
        return sign_failure(Outcome("error", message, exception_type=kind))

    assert sign("node 3: 'anna' at 0x7fa0 after 12.5 s") == sign("node 3: 'bob' at 0x11 after 7 s")
    assert sign("node 3: no model") != sign("node 3: no mask")
    assert sign("node 3: no model") != sign("node 3: no model", "KeyError")


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("MemoryError", Failure.OUT_OF_MEMORY),
        ("numpy.core._exceptions._ArrayMemoryError", Failure.OUT_OF_MEMORY),
        ("torch.OutOfMemoryError", Failure.OUT_OF_MEMORY),
        ("some.pack.errors.DiskFullError", Failure.DISK_FULL),
    ],
)
def test_a_type_is_enough(kind: str, failure: Failure) -> None:
    assert classify_outcome(Outcome("error", "node 3 (KSampler): something", exception_type=kind)) is failure


def history_of(error: Exception, module: str = "") -> dict[str, Any]:
    """A history entry of a node that has raised, as ComfyUI 0.3.75 writes it.

    Args:
        module: the name of the exception's module there, instead of its own.
    """
    kind = type(error)
    where = module or kind.__module__
    name = kind.__qualname__ if where == "builtins" else f"{where}.{kind.__qualname__}"
    failure = {"node_id": "4", "node_type": "KSampler", "exception_type": name, "exception_message": f"{error}\n"}
    return {"status": {"status_str": "error", "messages": [["execution_error", failure]]}, "outputs": {}}


#: ComfyUI names a pack's modules after its path.
IN_COMFYUI = "/opt/ComfyUI/custom_nodes/videogen.core.errors"


@pytest.mark.parametrize(
    ("temperature", "kind"), [(95.0, TooHotError), (None, SensorUnreadableError)], ids=["too hot", "no sensor"]
)
def test_heat_is_told_by_the_type_that_the_guard_raises(temperature: float | None, kind: type[VideoGenError]) -> None:
    now = [0.0]
    with pytest.raises(kind) as caught:
        wait_while_hot(
            ThermalGuard(ThermalPolicy(max_wait=1, strict=temperature is None)),
            lambda: [Reading("a", "card", temperature=temperature)],
            clock=lambda: now[0],
            sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
            check=lambda: None,
            tell=lambda decision: None,
            note=lambda pause: None,
        )
    failure = classify_outcome(read_outcome(history_of(caught.value, IN_COMFYUI)))
    assert failure is Failure.TOO_HOT
    assert choose_remedy(failure, 1, segment_remedies(5), (640, 480)) is Remedy.STOP, "another seed does not help"


def test_a_full_disk_is_told_by_its_type() -> None:
    error = explain_os_error(OSError(errno.ENOSPC, "whatever the system says"), Path("film.mp4"))
    assert classify_outcome(read_outcome(history_of(error, IN_COMFYUI))) is Failure.DISK_FULL


def test_memory_and_disk_of_the_system_are_told_by_its_words() -> None:
    for number, failure in ((errno.ENOMEM, Failure.OUT_OF_MEMORY), (errno.ENOSPC, Failure.DISK_FULL)):
        error = OSError(number, os.strerror(number))
        assert classify_outcome(read_outcome(history_of(error))) is failure


@pytest.mark.parametrize(
    "error",
    [
        "node 4 (KSampler): it stayed too hot for 30 min: 95 °C → waiting for 80 °C",
        "node 2 (VideoGenThermalGuard): RTX cannot be guarded: GPU is lost",
        "node 4 (VideoGenSaveSegment): no space is left for film.mp4",
    ],
)
def test_no_sentence_for_people_decides(error: str) -> None:
    outcome = Outcome("error", error, exception_type=f"{IN_COMFYUI}.VideoGenError")
    assert classify_outcome(outcome) is Failure.NODE_ERROR


def test_an_interrupted_prompt_is_no_error_of_a_node() -> None:
    entry = {
        "status": {
            "status_str": "error",
            "messages": [
                ["execution_start", {"prompt_id": "x", "timestamp": 1000}],
                ["execution_interrupted", {"prompt_id": "x", "timestamp": 2000}],
            ],
        },
        "outputs": {},
    }
    assert classify_outcome(read_outcome(entry)) is Failure.INTERRUPTED


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("submission-rejected", Failure.VALIDATION),
        ("predecessor-missing", Failure.PREDECESSOR),
        ("output-missing", Failure.OUTPUT_BROKEN),
        ("media-broken", Failure.OUTPUT_BROKEN),
        ("server-unreachable", Failure.SERVER_GONE),
        ("server-lost", Failure.SERVER_GONE),
        ("server-refused", Failure.SERVER_GONE),
        ("server-stalled", Failure.STALLED),
        ("server-unfit", Failure.UNFIT),
        ("prompt-lost", Failure.LOST),
        ("disk-full", Failure.DISK_FULL),
        ("path-invalid", Failure.FATAL),
        ("workflow-invalid", Failure.FATAL),
    ],
)
def test_errors_of_our_own_have_their_rows(code: str, failure: Failure) -> None:
    assert classify_error(VideoGenError(code, "message")) is failure


def test_every_registered_error_is_in_some_row() -> None:
    for code in ERROR_CODES:
        assert isinstance(classify_error(VideoGenError(code, "message")), Failure)

"""Segmentation networks for tests: the one that install.py fetches, and tiny ones of U²-Net's form."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from custom_nodes.videogen.core.continuity.mask_files import FILE, FOLDER
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork, open_mask_network
from runner.comfyui.installation import INSTALL_VARIABLE, PROJECT, find_installation
from tests.support.needs import skip_or_fail


def find_network_file() -> Path:
    """The file of the network that install.py fetches, in the models of the ComfyUI under test; skip or fail without it.

    Other ComfyUIs are tested in copies with empty model folders: they get install.py's file.
    """
    try:
        path = find_installation().comfyui / "models" / FOLDER / FILE
    except VideoGenError as error:
        skip_or_fail(str(error))
    fetched = PROJECT / ".videogen" / "comfyui" / "models" / FOLDER / FILE
    if not path.exists() and os.environ.get(INSTALL_VARIABLE) and fetched.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetched, path)
    if not path.exists():
        skip_or_fail(f"{path} is missing; install.py fetches it")
    return path


def need_mask_network() -> MaskNetwork:
    """The network itself; skip or fail where this OpenCV cannot read it."""
    network, notes = open_mask_network(find_network_file().parent)
    if network is None:
        skip_or_fail(f"{notes}")
    return network


def mean_of_channels(side: int) -> bytes:
    """A network of U²-Net's form that marks what is bright: the mean of the three channels."""
    mean = helper.make_node("ReduceMean", ["image"], ["map"], axes=[1], keepdims=1)
    return _write([mean], side)


def constant_map(side: int, value: float) -> bytes:
    """The same, with one value everywhere: it has seen nothing."""
    nothing = helper.make_node("Mul", ["mean", "zero"], ["nothing"])
    mean = helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1)
    level = helper.make_node("Add", ["nothing", "value"], ["map"])
    return _write([mean, nothing, level], side, {"zero": 0.0, "value": value})


def _write(nodes: list[onnx.NodeProto], side: int, numbers: dict[str, float] | None = None) -> bytes:
    shape = (1, 3, side, side)
    graph = helper.make_graph(
        nodes,
        "mask",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, (1, 1, side, side))],
        [helper.make_tensor(name, TensorProto.FLOAT, (1,), [value]) for name, value in (numbers or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())

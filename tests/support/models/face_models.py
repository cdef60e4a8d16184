"""Files that OpenCV takes for YuNet and SFace: their inputs and outputs, and weights set by hand.

The detector calls a face whatever is magenta; the recognizer multiplies the colors of a face with random numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Color of a face, RGB.
FACE = (230, 20, 230)
STRIDES = (8, 16, 32)
_SIDE = 640
#: Eyes, nose and corners of the mouth around the middle of a face, in cells.
_LANDMARKS = (-1.0, -1.0, 1.0, -1.0, 0.0, 0.0, -0.8, 1.0, 0.8, 1.0)
_FACE_CELLS = 6.0


def write_models(folder: Path, seed: int = 1) -> Path:
    """Write both files, under the names of OpenCV's model zoo. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_detector(), str(folder / "face_detection_yunet_2023mar.onnx"))
    onnx.save(_recognizer(seed), str(folder / "face_recognition_sface_2021dec.onnx"))
    return folder


def _detector() -> onnx.ModelProto:
    nodes, weights, outputs = [], {}, []
    for stride in STRIDES:
        cells = (_SIDE // stride) ** 2
        nodes.append(
            helper.make_node("AveragePool", ["input"], [f"p{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2)
        )
        # BGR, 0 to 255: magenta is much blue and red, and no green.
        seen = np.array([0.1, -0.2, 0.1]) if stride == 8 else np.zeros(3)
        heads = {
            "cls": (seen[None], np.array([-20.0])),
            "obj": (seen[None], np.array([-20.0])),
            "bbox": (np.zeros((4, 3)), np.array([0.5, 0.5, *np.log([_FACE_CELLS] * 2)])),
            "kps": (np.zeros((10, 3)), np.array(_LANDMARKS) + 0.5),
        }
        for name, (matrix, bias) in heads.items():
            key, count = f"{name}_{stride}", len(bias)
            weights |= {f"w_{key}": matrix[..., None, None], f"b_{key}": bias}
            nodes += [
                helper.make_node("Conv", [f"p{stride}", f"w_{key}", f"b_{key}"], [f"c_{key}"], kernel_shape=[1, 1]),
                helper.make_node("Transpose", [f"c_{key}"], [f"t_{key}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{key}", f"s_{key}"], [f"r_{key}"]),
                helper.make_node("Sigmoid" if name in ("cls", "obj") else "Identity", [f"r_{key}"], [key]),
            ]
            weights[f"s_{key}"] = np.array([1, cells, count], np.int64)
            outputs.append((key, [1, cells, count]))
    return _model(nodes, ("input", [1, 3, _SIDE, _SIDE]), sorted(outputs), weights)


def _recognizer(seed: int) -> onnx.ModelProto:
    weights = {
        "middle": np.array([127.5]),
        "flat": np.array([1, 48], np.int64),
        "mix": np.random.default_rng(seed).standard_normal((48, 128)),
    }
    nodes = [
        helper.make_node("Sub", ["data", "middle"], ["centered"]),
        helper.make_node("AveragePool", ["centered"], ["pooled"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Reshape", ["pooled", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "mix"], ["fc1"]),
    ]
    return _model(nodes, ("data", [1, 3, 112, 112]), [("fc1", [1, 128])], weights)


def _model(
    nodes: list[onnx.NodeProto],
    source: tuple[str, list[int]],
    outputs: list[tuple[str, list[int]]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    values = [
        numpy_helper.from_array(array if array.dtype == np.int64 else array.astype(np.float32), name)
        for name, array in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        values,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

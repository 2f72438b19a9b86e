"""EfficientNet-lite0 as an ONNX graph for ONNX Runtime, which is much faster than torch on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.measure.extractors.efficientnet import LAYERS, SIDE, Block, Convolution, EfficientNetLite0

OPSET, IR = 13, 8  # of 2021: every current ONNX Runtime reads them


class Graph:
    """A graph under construction. Values are referred to by name."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.to_proto = helper, numpy_helper.from_array
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.low, self.high = self.constant(0.0), self.constant(6.0)

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = name or f"{op}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, value: float | Tensor) -> str:
        """Add a weight or a number; returns its name."""
        name = f"weight{len(self.weights)}"
        array = np.asarray(value.detach().contiguous() if isinstance(value, Tensor) else value, np.float32)
        self.weights.append(self.to_proto(array, name))
        return name

    def convolution(self, x: str, layer: Convolution, *, active: bool = True) -> str:
        """A convolution, with ReLU6 if `active`."""
        assert layer.bias is not None
        left, right, top, bottom = layer.margins
        convolved = self.add(
            *("Conv", x, self.constant(layer.weight), self.constant(layer.bias)),
            pads=[top, left, bottom, right],
            strides=list(layer.stride),
            group=layer.groups,
        )
        return self.add("Clip", convolved, self.low, self.high) if active else convolved

    def block(self, x: str, block: Block) -> str:
        """An inverted residual."""
        wide = x if block.expand is None else self.convolution(x, block.expand)
        narrow = self.convolution(self.convolution(wide, block.depthwise), block.project, active=False)
        return self.add("Add", x, narrow) if block.residual else narrow

    def mean(self, x: str, name: str) -> str:
        """The spatial mean, [N, C]."""
        return self.add("Flatten", self.add("GlobalAveragePool", x), name=name)


def as_onnx(network: EfficientNetLite0) -> bytes:
    """The graph with its weights: "pictures" [N, 3, SIDE, SIDE] in 0..255 -> "112" [N, 112], "1280" [N, 1280]."""
    from onnx import TensorProto

    graph = Graph()
    x = graph.add("Div", graph.add("Sub", "pictures", graph.constant(127.0)), graph.constant(128.0))
    x = graph.convolution(x, network.stem)
    middle, last = LAYERS
    for number, block in enumerate(network.blocks, 1):
        assert isinstance(block, Block)
        x = graph.block(x, block)
        if number == network.middle:
            graph.mean(x, middle)
    graph.mean(graph.convolution(x, network.head), last)
    value = graph.helper.make_tensor_value_info
    inputs = [value("pictures", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])]
    outputs = [value(name, TensorProto.FLOAT, ["N", width]) for name, width in LAYERS.items()]
    whole = graph.helper.make_graph(graph.nodes, "EfficientNet-lite0", inputs, outputs, graph.weights)
    opsets = [graph.helper.make_opsetid("", OPSET)]
    return bytes(graph.helper.make_model(whole, opset_imports=opsets, ir_version=IR).SerializeToString())


def runner(network: EfficientNetLite0) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The network in ONNX Runtime on the CPU, with torch's number of threads. Raises ImportError without the package."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave torch the cores
    session = onnxruntime.InferenceSession(as_onnx(network), options, providers=["CPUExecutionProvider"])

    def run(square: Tensor) -> tuple[Tensor, ...]:
        return tuple(map(torch.from_numpy, session.run(list(LAYERS), {"pictures": square.numpy()})))

    return run

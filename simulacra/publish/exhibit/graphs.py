"""The ONNX graphs of an exhibit: `mapping` (z, y -> w) where the model has one of its own, and `synthesis` (w -> pictures).

The page moves w itself, so it needs both parts. Weights are stored as float16 and cast to float32, in which all is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.cascade import Cascade
from simulacra.generator import Generator
from simulacra.latent.recipe import per_layer
from simulacra.publish.onnx import check_extra, metadata_of, to_onnx

SMALL = 256  # numbers: tensors below stay float32, they take no space
CHECKED = range(4)  # seeds whose pictures are compared with torch's
TOLERANCE = 1.0  # of 255 levels: what float16 weights may change; beyond, weights stay float32


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """The graphs as ONNX files; mapping is None where w is [z | y].

    difference: the largest one of a picture from torch's, of 255 levels. half: whether the weights are float16.
    """

    mapping: bytes | None
    synthesis: bytes
    difference: float
    half: bool


class _Mapping(nn.Module):
    """z, y -> w."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.generator.mapping(z, y)


class _Synthesis(nn.Module):
    """w -> pictures in [-1, 1], enlarged by the cascade."""

    def __init__(self, generator: Generator, cascade: Cascade | None) -> None:
        super().__init__()
        self.generator, self.cascade = generator, cascade

    def forward(self, w: Tensor) -> Tensor:
        pictures = self.generator.synthesis(w).float()
        if self.cascade is not None:
            pictures = self.cascade(pictures)
        return pictures.clamp(-1, 1)


def has_mapping(generator: Generator) -> bool:
    """Whether w is anything other than z and the label side by side."""
    return type(generator).mapping is not Generator.mapping


@torch.no_grad()
def graphs(generator: Generator, *, gan: str = "", cascade: Cascade | None = None) -> Graphs:
    """The graphs of a generator, checked against torch. cascade: enlarges its pictures.

    Raises `SimulacraError` if the extra `onnx` is not installed.
    """
    check_extra()
    generator.eval()
    z, y = generator.seeded(CHECKED), generator.conditions(CHECKED)
    inputs = {"z": z} if y is None else {"z": z, "y": y}
    w = generator.mapping(z, y)
    synthesis = _Synthesis(generator, cascade)
    w = per_layer(generator, w).contiguous() if generator.num_ws else w
    pictures = synthesis(w)  # before the export: it also computes a cascade's matrices, which become constants
    mapping = _exported(_Mapping(generator), inputs, "w", gan) if has_mapping(generator) else None
    whole = Graphs(mapping=mapping, synthesis=_exported(synthesis, {"w": w}, "images", gan), difference=0.0, half=False)
    halved = Graphs(
        mapping=mapping and _halved(mapping), synthesis=_halved(whole.synthesis), difference=0.0, half=True
    )  # fmt: skip
    for candidate in (halved, whole):
        difference = _difference(candidate, inputs, pictures, generator.num_ws)
        if difference <= TOLERANCE:
            break
    return Graphs(
        mapping=candidate.mapping, synthesis=candidate.synthesis, difference=difference, half=candidate.half
    )  # fmt: skip


def _exported(network: nn.Module, inputs: dict[str, Tensor], output: str, gan: str) -> bytes:
    batch = torch.export.Dim("N")
    metadata = metadata_of(network.generator, gan)  # type: ignore[arg-type]
    return to_onnx(network, tuple(inputs.values()), metadata, input_names=list(inputs), output_names=[output],
                   dynamic_shapes={name: {0: batch} for name in inputs})  # fmt: skip


def _halved(data: bytes) -> bytes:
    """An ONNX file whose larger tensors are float16, each behind a cast to float32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(data)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALL:
            continue
        name = tensor.name
        with np.errstate(over="ignore"):  # infinity shows as a difference
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    halved: bytes = model.SerializeToString()
    return halved


def _difference(graphs: Graphs, inputs: dict[str, Tensor], pictures: Tensor, num_ws: int) -> float:
    """The largest difference of the graphs' pictures from torch's, of 255 levels; infinite where one is not a number."""
    arrays = {name: value.numpy() for name, value in inputs.items()}
    w = _run(graphs.mapping, arrays) if graphs.mapping else np.concatenate(list(arrays.values()), 1)
    if num_ws and w.ndim == 2:
        w = np.repeat(w[:, None], num_ws, 1)
    difference = float(np.abs(_run(graphs.synthesis, {"w": w}) - pictures.numpy()).max()) * 127.5
    return difference if np.isfinite(difference) else float("inf")


def _run(graph: bytes, inputs: dict[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, inputs)[0]
    return output

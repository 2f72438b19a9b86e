"""Pictures that come as arrays: IDX (MNIST and its kin) and CIFAR's pickles, read without trusting them."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from simulacra.errors import SimulacraError

IDX_IMAGES, IDX_LABELS = 0x00000803, 0x00000801
CIFAR_SIDE = 32
READ_AT_ONCE = 1 << 22


class _Dtype:
    """Stands for numpy.dtype in a CIFAR file, where nothing but bytes occurs."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"numbers of type {name!r}")

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stands for numpy.ndarray: keeps the shape and the bytes that numpy would have been given."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or fortran:
            raise pickle.UnpicklingError("an array of something else than bytes")
        self.pixels = np.frombuffer(raw, np.uint8).reshape([int(n) for n in shape])


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, codec: str | bytes = "latin1") -> bytes:
    if codec not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"codec {codec!r}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Reads dicts, lists, text, numbers and arrays of bytes out of a pickle, and cannot do anything else.

    A pickle is a program: it may name any function and call it. `find_class` is the only way by which it gets
    hold of one, and here it is given nothing but the four harmless stand-ins above, never numpy's own or any
    module's. Every other name ends the reading, and no persistent or extension object is known.
    """

    NAMES = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name on the list; UnpicklingError for any other."""
        try:
            return self.NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read_pickle(data: bytes, name: str) -> dict[str, Any]:
    """A CIFAR file as a dict of lists and arrays; SimulacraError for one that holds, or asks for, more."""
    try:
        told = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        named = {key.decode() if isinstance(key, bytes) else str(key): value for key, value in told.items()}
        return {key: value.pixels if isinstance(value, _Array) else value for key, value in named.items()}
    except Exception as error:  # a broken pickle fails in every way there is
        raise SimulacraError(f"{name} is not one of CIFAR's files, and is not trusted ({error}).") from error


def cifar_pixels(told: dict[str, Any], name: str) -> tuple[NDArray[np.uint8], list[int]]:
    """Pictures [N, 32, 32, 3] and class numbers [N] of one batch."""
    labels = next((told[key] for key in ("labels", "fine_labels") if key in told), None)
    pixels = told.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != 3 * CIFAR_SIDE**2:
        raise SimulacraError(f"{name} holds no CIFAR pictures (rows of {3 * CIFAR_SIDE**2} bytes).")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise SimulacraError(f"{name} has not one label for each picture.")
    return pixels.reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1), [int(n) for n in labels]


def unpack_idx(path: Path, out: Path) -> int:
    """Write the pictures of an IDX file (.gz or not) to `out` as .npy [N, H, W]; returns N."""
    with _opened(path) as file:
        magic, n, height, width = _header(file, path, 4)
        if magic != IDX_IMAGES:
            raise SimulacraError(f"{path} is not an IDX file of pictures (it begins with {magic:#010x}).")
        size = n * height * width
        if not 0 < height * width <= 1 << 24:
            raise SimulacraError(f"{path} is damaged: it promises pictures of {width}x{height}.")
        with out.open("wb") as packed:
            header = {"descr": "|u1", "fortran_order": False, "shape": (n, height, width)}
            np.lib.format.write_array_header_1_0(packed, header)
            for part in _parts(file, size, path):
                packed.write(part)
    return n


def read_idx_labels(path: Path, n: int) -> NDArray[np.int64]:
    """The class numbers [n] of an IDX file of labels."""
    with _opened(path) as file:
        magic, count = _header(file, path, 2)
        if magic != IDX_LABELS or count != n:
            raise SimulacraError(f"{path} does not hold one label for each of {n} pictures.")
        return np.frombuffer(b"".join(_parts(file, n, path)), np.uint8).astype(np.int64)


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _header(file: BinaryIO, path: Path, numbers: int) -> tuple[int, ...]:
    try:
        return struct.unpack(f">{numbers}I", file.read(4 * numbers))
    except (struct.error, zlib.error, OSError, EOFError) as error:
        raise SimulacraError(f"{path} is not an IDX file ({error}).") from error


def _parts(file: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    try:
        while size and (part := file.read(min(size, READ_AT_ONCE))):
            size -= len(part)
            yield part
        if size or file.read(1):
            raise SimulacraError(f"{path} is damaged: it is {'shorter' if size else 'longer'} than it says.")
    except (zlib.error, OSError, EOFError) as error:
        raise SimulacraError(f"{path} is damaged ({error}).") from error

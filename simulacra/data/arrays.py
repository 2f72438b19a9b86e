"""Pictures stored as arrays: IDX (MNIST and similar sets) and CIFAR's pickles, read by an allow-listed unpickler."""

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
CHUNK = 1 << 22  # bytes


class _Dtype:
    """Replaces numpy.dtype in a CIFAR file; only uint8 is allowed."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"numbers of type {name!r}")

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Replaces numpy.ndarray: stores the shape and bytes as `pixels`."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or fortran:
            raise pickle.UnpicklingError("an array of another type than uint8")
        self.pixels = np.frombuffer(raw, np.uint8).reshape([int(n) for n in shape])


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, codec: str | bytes = "latin1") -> bytes:
    if codec not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"codec {codec!r}")
    return text.encode("latin1")


class _AllowListedUnpickler(pickle.Unpickler):
    """Reads dicts, lists, text, numbers and arrays of bytes from a pickle; anything else raises UnpicklingError.

    A pickle may name any function and call it; `find_class` is the only way to one. Here it returns nothing but the
    four stand-ins above, never a function of numpy or of another module. Persistent and extension objects are unknown.
    """

    ALLOWED = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name on the list. Raises UnpicklingError for any other."""
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read_cifar(data: bytes, name: str) -> dict[str, Any]:
    """A CIFAR file as a dict of lists and arrays; nothing in it is executed.

    Raises SimulacraError for a pickle that is damaged, or names anything that is not on the allow list.
    """
    try:
        content = _AllowListedUnpickler(io.BytesIO(data), encoding="bytes").load()
        named = {key.decode() if isinstance(key, bytes) else str(key): value for key, value in content.items()}
        return {key: value.pixels if isinstance(value, _Array) else value for key, value in named.items()}
    except Exception as error:  # a damaged pickle raises any exception at all
        raise SimulacraError("data.untrusted_pickle", name=name, reason=str(error)) from error


def cifar_pixels(content: dict[str, Any], name: str) -> tuple[NDArray[np.uint8], list[int]]:
    """Pictures [N, 32, 32, 3] and class numbers [N] of one batch. Raises SimulacraError if it has none."""
    labels = next((content[key] for key in ("labels", "fine_labels") if key in content), None)
    pixels = content.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != 3 * CIFAR_SIDE**2:
        raise SimulacraError("data.not_cifar_pictures", name=name, bytes=3 * CIFAR_SIDE**2)
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise SimulacraError("data.labels_do_not_match", path=name, count=len(pixels))
    return pixels.reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1), [int(n) for n in labels]


def unpack_idx(path: Path, out: Path) -> int:
    """Write the pictures of an IDX file (.gz or not) to `out` as .npy [N, H, W]; returns N."""
    with _open(path) as file:
        magic, n, height, width = _header(file, path, 4)
        if magic != IDX_IMAGES:
            raise SimulacraError("data.not_idx", path=path, reason=f"{magic:#010x}")
        if not 0 < height * width <= 1 << 24:
            raise SimulacraError("data.damaged_file", path=path, reason=f"{width}x{height}")
        with out.open("wb") as array:
            header = {"descr": "|u1", "fortran_order": False, "shape": (n, height, width)}
            np.lib.format.write_array_header_1_0(array, header)
            for chunk in _chunks(file, n * height * width, path):
                array.write(chunk)
    return n


def read_idx_labels(path: Path, n: int) -> NDArray[np.int64]:
    """The class numbers [n] of an IDX file of labels. Raises SimulacraError if it has another count."""
    with _open(path) as file:
        magic, count = _header(file, path, 2)
        if magic != IDX_LABELS or count != n:
            raise SimulacraError("data.labels_do_not_match", path=path, count=n)
        return np.frombuffer(b"".join(_chunks(file, n, path)), np.uint8).astype(np.int64)


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _header(file: BinaryIO, path: Path, numbers: int) -> tuple[int, ...]:
    try:
        return struct.unpack(f">{numbers}I", file.read(4 * numbers))
    except (struct.error, zlib.error, OSError, EOFError) as error:
        raise SimulacraError("data.not_idx", path=path, reason=str(error)) from error


def _chunks(file: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    """The next `size` bytes, which must be the last of the file."""
    try:
        while size and (chunk := file.read(min(size, CHUNK))):
            size -= len(chunk)
            yield chunk
        if size or file.read(1):
            raise SimulacraError("data.wrong_length", path=path)
    except (zlib.error, OSError, EOFError) as error:
        raise SimulacraError("data.damaged_file", path=path, reason=str(error)) from error

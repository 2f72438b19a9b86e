"""Pictures stored as arrays: IDX, CIFAR's pickles (read by an allow-listed unpickler), and NumPy's .npy and .npz."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from simulacra.data.unpacking import require_room, write_within_room
from simulacra.errors import SimulacraError

IDX_IMAGES, IDX_LABELS = 0x00000803, 0x00000801
CIFAR_SIDE = 32
CHUNK = 1 << 22  # bytes
WIDEST = 4.0  # networks without a tanh exceed [-1, 1] somewhat; larger numbers are on another scale


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
            write_within_room(_chunks(file, n * height * width, path), array, path, out.parent)
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


def unpack_numpy(path: Path, scratch: Path) -> tuple[Path, NDArray[np.bool_]]:
    """The pictures of an .npy or .npz file as an .npy file [N, H, W] or [N, H, W, C] uint8, and which are sound [N].

    The array is [N, H, W, C] or [N, H, W] uint8, or [N, C, H, W] floats in [-1, 1]; the other order of axes is taken
    where C is 1, 3 or 4. An .npz may hold other arrays beside it. Pickles are refused. A picture with NaN or infinity is
    not sound. Raises SimulacraError for anything else.
    """
    try:
        file = _member(path, scratch) if path.suffix.lower() == ".npz" else path
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise SimulacraError("data.damaged_file", path=path, reason=str(error)) from error
    single = array.ndim == 3 and array.shape[-1] in (1, 3, 4)  # one picture [H, W, C]
    array = array[None] if single else array
    if not _is_pictures(array.shape, array.dtype):
        raise SimulacraError("data.not_pictures_array", path=path, shape=str(list(array.shape)), type=str(array.dtype))
    channels_first = array.ndim == 4 and _channels_first(array.shape, array.dtype)
    if array.dtype == np.uint8 and not (channels_first or single):
        return file, np.ones(len(array), np.bool_)
    return _as_bytes(array, channels_first, scratch / f"{path.stem}-pictures.npy", path)


def _as_bytes(array: NDArray[Any], channels_first: bool, out: Path, path: Path) -> tuple[Path, NDArray[np.bool_]]:
    """Write pictures as [N, H, W, C] uint8 to `out`, a few at a time."""
    sound, low = np.ones(len(array), np.bool_), np.inf
    shape = (len(array), *(array.shape[i] for i in (2, 3, 1))) if channels_first else array.shape
    require_room(array.size, path, out.parent)
    pixels = np.lib.format.open_memmap(out, mode="w+", dtype=np.uint8, shape=shape)
    step = max(1, CHUNK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        rows = slice(start, start + step)
        part = np.moveaxis(array[rows], 1, -1) if channels_first else array[rows]
        if array.dtype != np.uint8:
            part = part.astype(np.float32)
            sound[rows] = np.isfinite(part).reshape(len(part), -1).all(1)
            part = np.nan_to_num(part, nan=-1.0, posinf=-1.0, neginf=-1.0)
            if np.abs(part).max(initial=0) > WIDEST:
                raise SimulacraError("data.floats_beyond", path=path, value=f"{np.abs(part).max():g}")
            low = min(low, float(part[sound[rows]].min(initial=np.inf)))
            part = np.rint(part.clip(-1, 1) * np.float32(127.5) + np.float32(127.5)).astype(np.uint8)
        pixels[rows] = part
    if np.isfinite(low) and low >= 0:
        raise SimulacraError("data.floats_from_0", path=path)
    pixels.flush()
    return out, sound


def _member(path: Path, scratch: Path) -> Path:
    """The one array of pictures in an .npz, copied to a file. Raises SimulacraError if there is none, or several."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy") and _promises_pictures(archive, name)]
        if len(names) != 1:
            arrays = [name.removesuffix(".npy") for name in archive.namelist()]
            raise SimulacraError("data.not_one_array", path=path, count=len(names), names=arrays)
        out = scratch / f"{path.stem}.npy"
        with archive.open(names[0]) as packed, out.open("wb") as file:
            write_within_room(iter(partial(packed.read, CHUNK), b""), file, path, scratch)
    return out


def _promises_pictures(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether the header of a member is that of pictures."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return _is_pictures(shape, dtype)


def _is_pictures(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    numbers = dtype == np.uint8 or (dtype.kind == "f" and len(shape) == 4)
    channels = len(shape) == 3 or (len(shape) == 4 and ({1, 3, 4} & {shape[1], shape[3]}))
    return bool(numbers and channels and all(shape[1:]))


def _channels_first(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether [N, C, H, W] is meant; by the type where both could be."""
    first, last = shape[1] in (1, 3, 4), shape[3] in (1, 3, 4)
    return first and (dtype != np.uint8 or not last)

"""Walks and other sequences of pictures as films: WebP, GIF, MP4 or a folder of PNGs, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from PIL import Image

from simulacra.cascade import Cascade, cascade_at_least
from simulacra.console import Advance, Begin, silent
from simulacra.device import choose_device
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file, atomic_folder
from simulacra.generator import to_image
from simulacra.latent.walk import Easing, Space, Walk, seed_stops
from simulacra.messages import text
from simulacra.provenance import KEY, write_png
from simulacra.seeds import parse_seeds
from simulacra.storage import fingerprint, load_generator

KINDS = (".webp", ".gif", ".mp4", "")  # the last: a folder of PNGs
MAX_GIF = 1 << 29  # bytes: Pillow keeps every frame of a GIF, one byte per pixel
MAX_SECONDS = 3600
MIN_FPS, MAX_FPS = 1, 100  # browsers play no GIF faster than 50
MIN_SIZE, MAX_SIZE = 8, 4096  # pixels of a film's height
CODECS = ("libx264", "mpeg4")  # in order of preference


def walk(
    model: str | Path | None,
    out: str | Path,
    *,
    seeds: str | Sequence[int] = "1,5,9",
    seconds: float = 6.0,
    fps: float = 25.0,
    loop: bool = True,
    space: Space = "auto",
    easing: Easing = "smooth",
    even: bool = False,
    label: str = "",
    truncation: float = 1.0,
    size: int | None = None,
    device: str = "auto",
    begin: Begin = silent,
) -> Path:
    """Film an interpolation through the pictures of `seeds`; returns the film's path.

    model: a run, a checkpoint, a model's folder or "peeps". out: a new .webp, .gif or .mp4, or a folder for numbered
    PNGs. seeds: numbers or a text such as "1,5,9". loop: return to the first picture and repeat. space, easing, even:
    see `Walk`. label: for conditional models. size: height in pixels; default: the model's. A larger one comes from the
    model's upscalers, as far as it has any, and else from bicubic interpolation.
    Raises `SimulacraError` for a film that cannot be made or an `out` that exists.
    """
    stops = seed_stops(parse_seeds(seeds), label=label, truncation=truncation)
    generator = load_generator(model, choose_device(device))
    path = Walk(generator, stops, loop=loop, space=space)
    cascade = cascade_at_least(model, generator.shape, size, generator.device)
    advance = begin(text("latent.progress_drawing"), frame_count(seconds, fps))
    options: dict[str, Any] = {"easing": easing, "even": even, "size": size, "advance": advance, "cascade": cascade}
    write_walk(path, Path(out), seconds=seconds, fps=fps, model=fingerprint(model), **options)
    return Path(out)


def write_walk(
    walk: Walk, out: Path, *, seconds: float, fps: float, easing: Easing, even: bool, size: int | None, model: str,
    advance: Advance = lambda n: None, cascade: Cascade | None = None,
) -> int:  # fmt: skip
    """Write a walk as a film; returns the number of frames.

    size: height in pixels; None: the model's. cascade: enlarges the frames, before they are resized. model: the fingerprint that PNGs record, each with its recipe.
    """
    count = frame_count(seconds, fps)
    check_film(out, fps)
    if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
        raise SimulacraError("latent.film_size", size=size, least=MIN_SIZE, most=MAX_SIZE)
    _, height, width = walk.generator.shape
    sides = None if size is None else (max(1, round(width * size / height)), size)

    def images() -> Iterator[Image.Image]:
        for frame in walk.frames(count, easing=easing, even=even):
            image = to_image(cascade.enlarge(frame.picture[None])[0] if cascade else frame.picture)
            if sides is not None and sides != image.size:
                image = image.resize(sides, Image.Resampling.BICUBIC)
            if not out.suffix:
                image.info[KEY] = {"model": model, **walk.provenance(frame)}
            advance(1)
            yield image

    write_film(out, images(), count, fps=fps, loop=walk.loop)
    return count


def frame_count(seconds: float, fps: float) -> int:
    """The number of frames of a film. Raises `SimulacraError` for a length or rate out of range."""
    if not MIN_FPS <= fps <= MAX_FPS:
        raise SimulacraError("latent.film_fps", fps=fps, least=MIN_FPS, most=MAX_FPS)
    if not 0 < seconds <= MAX_SECONDS:
        raise SimulacraError("latent.film_seconds", seconds=seconds, most=MAX_SECONDS)
    return max(2, round(seconds * fps))


def check_film(path: Path, fps: float) -> None:
    """Raise `SimulacraError` for a film that cannot be written, before anything is drawn."""
    if path.suffix.lower() not in KINDS:
        raise SimulacraError("latent.film_kind", path=path, kinds=[kind for kind in KINDS if kind])
    if path.exists():
        raise SimulacraError("latent.film_exists", path=path)
    frame_count(1, fps)
    if path.suffix.lower() == ".mp4":
        _av()


def write_film(path: Path, frames: Iterable[Image.Image], count: int, *, fps: float = 25.0, loop: bool = True) -> None:
    """Write `count` frames of one size as a film of the kind that the suffix of `path` names.

    .webp and .gif repeat if `loop`. .mp4 needs the film extra; odd sides grow by one pixel. Without a suffix `path`
    becomes a folder of numbered PNGs, each with the provenance in its `info`.
    Raises `SimulacraError` for another suffix, a path that exists, and a GIF too large for memory.
    """
    check_film(path, fps)
    kind = path.suffix.lower()
    if not kind:
        with atomic_folder(path) as folder:
            for number, frame in enumerate(frames):
                write_png(frame, folder / f"{number:06d}.png", frame.info.get(KEY, {}))
        return
    with atomic_file(path) as file:
        if kind == ".mp4":
            _write_mp4(file, frames, fps)
        else:
            _write_pillow(file, kind, frames, count, fps, loop)


class _Reel(Image.Image):
    """Frames as Pillow sees an image of several: each is made when Pillow seeks it, and then dropped."""

    def __init__(self, frames: Iterator[Image.Image], count: int) -> None:
        super().__init__()
        self.frames, self.n_frames, self.current = frames, count, -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a frame; backwards is not possible."""
        while frame > self.current:
            image = next(self.frames)
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self.current += 1

    def tell(self) -> int:
        """The number of the current frame."""
        return self.current


def _write_pillow(
    file: IO[bytes], kind: str, frames: Iterable[Image.Image], count: int, fps: float, loop: bool
) -> None:
    tick = 10 if kind == ".gif" else 1  # unit of a frame's duration, in milliseconds
    ends = [tick * round(i * 1000 / fps / tick) for i in range(count + 1)]
    durations = [end - begin for begin, end in itertools.pairwise(ends)]
    reel = _Reel(iter(frames), count)
    if kind == ".gif" and reel.width * reel.height * count > MAX_GIF:
        raise SimulacraError("latent.gif_too_large")
    options: dict[str, Any] = {"save_all": True, "duration": durations}
    if loop or kind == ".webp":  # 0 is for ever in WebP; a GIF without a count plays once
        options["loop"] = 0 if loop else 1
    if kind == ".webp":
        options |= {"quality": 85, "method": 3, "minimize_size": False}
    reel.save(file, kind[1:].upper(), **options)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise SimulacraError("latent.film_needs_av", reason=error) from error
    return av


def _write_mp4(file: IO[bytes], frames: Iterable[Image.Image], fps: float) -> None:
    from fractions import Fraction

    av = _av()
    rate = Fraction(fps).limit_denominator(1000)
    with av.open(file, "w", format="mp4") as container:
        stream = None
        for frame in frames:
            even = (frame.width + frame.width % 2, frame.height + frame.height % 2)
            image = _on_white(frame)
            image = image if image.size == even else image.resize(even, Image.Resampling.BICUBIC)
            if stream is None:
                codec = next(name for name in CODECS if name in av.codecs_available)
                stream = container.add_stream(codec, rate=rate)
                stream.width, stream.height, stream.pix_fmt = *even, "yuv420p"
                stream.options = {"crf": "17"} if codec == "libx264" else {}
            for packet in stream.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)


def _on_white(image: Image.Image) -> Image.Image:
    """RGB, with transparency laid on white."""
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")

"""Pictures one after another as a film, never all of them in memory: WebP, GIF, MP4 or a folder of PNG."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from PIL import Image

from simulacra.console import Advance
from simulacra.errors import SimulacraError
from simulacra.files import folder_written_aside, written_aside
from simulacra.gan import to_image
from simulacra.latent.walk import Easing, Walk
from simulacra.provenance import KEY, write_png

KINDS = (".webp", ".gif", ".mp4", "a folder, for PNG")
MOST_GIF = 1 << 29  # bytes: Pillow keeps every frame of a GIF, a byte a pixel
MOST_SECONDS = 3600
RATES = (1, 100)  # frames a second; browsers show no GIF faster than 50
CODECS = ("libx264", "mpeg4")  # the first that is there


def write_walk(
    walk: Walk, out: Path, *, seconds: float, fps: float, easing: Easing, even: bool, size: int | None, model: str,
    advance: Advance = lambda n: None,
) -> int:  # fmt: skip
    """Write a walk as a film, and return how many pictures it has.

    size: the height in pixels, if not the model's own. model: the fingerprint that PNG record, each with its recipe.
    """
    count = frames_in(seconds, fps)
    check_film(out, fps)
    if size is not None and not 8 <= size <= 4096:
        raise SimulacraError(f"--size {size} is not possible: 8 to 4096 pixels are.")
    _, height, width = walk.generator.shape
    sides = None if size is None else (max(1, round(width * size / height)), size)

    def drawn() -> Iterator[Image.Image]:
        for moment in walk.pictures(count, easing=easing, even=even):
            image = to_image(moment.picture)
            image = image if sides is None else image.resize(sides, Image.Resampling.BICUBIC)
            if not out.suffix:
                image.info[KEY] = {"model": model, **walk.told(moment)}
            advance(1)
            yield image

    write_film(out, drawn(), count, fps=fps, loop=walk.loop)
    return count


def frames_in(seconds: float, fps: float) -> int:
    """How many pictures a film of that length has. Raises `SimulacraError` for one that is not possible."""
    if not RATES[0] <= fps <= RATES[1]:
        raise SimulacraError(f"{fps:g} pictures a second are not possible: {RATES[0]} to {RATES[1]} are.")
    if not 0 < seconds <= MOST_SECONDS:
        raise SimulacraError(f"A film of {seconds:g} seconds is not possible: up to {MOST_SECONDS} are.")
    return max(2, round(seconds * fps))


def check_film(path: Path, fps: float) -> None:
    """Raise `SimulacraError` for what cannot be written, before anything is drawn."""
    if path.suffix.lower() not in (".webp", ".gif", ".mp4", ""):
        raise SimulacraError(f"{path} is no film that can be written: there are {', '.join(KINDS)}.")
    if path.exists():
        raise SimulacraError(f"{path} exists already: choose another name, or move it away.")
    frames_in(1, fps)
    if path.suffix.lower() == ".mp4":
        _av()


def write_film(path: Path, frames: Iterable[Image.Image], count: int, *, fps: float = 25.0, loop: bool = True) -> None:
    """Write `count` frames, all of one size, as the film that the name of `path` asks for.

    .webp and .gif play for ever if `loop`; .mp4 needs the extra film; a name without an ending is a folder of
    numbered PNG, each with what its `info` says of it. A side of an MP4 is even: an odd one is enlarged by a pixel.
    Raises `SimulacraError` for another name, one that is taken, and a GIF too large for the memory.
    """
    check_film(path, fps)
    kind = path.suffix.lower()
    if not kind:
        with folder_written_aside(path) as folder:
            for number, frame in enumerate(frames):
                write_png(frame, folder / f"{number:06d}.png", frame.info.get(KEY, {}))
        return
    with written_aside(path) as file:
        if kind == ".mp4":
            _write_mp4(file, frames, fps)
        else:
            _write_pillow(file, kind, frames, count, fps, loop)


class _Reel(Image.Image):
    """Frames as Pillow sees a picture of several: each is made when Pillow turns to it, and then let go."""

    def __init__(self, frames: Iterator[Image.Image], count: int) -> None:
        super().__init__()
        self.frames, self.n_frames, self.now = frames, count, -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Turn to a frame: the next, or the one that is there."""
        while frame > self.now:
            image = next(self.frames)
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self.now += 1

    def tell(self) -> int:
        """The number of the frame that is there."""
        return self.now


def _write_pillow(
    file: IO[bytes], kind: str, frames: Iterable[Image.Image], count: int, fps: float, loop: bool
) -> None:
    tick = 10 if kind == ".gif" else 1  # milliseconds that a frame's time is counted in
    ends = [tick * round(i * 1000 / fps / tick) for i in range(count + 1)]
    times = [end - begin for begin, end in itertools.pairwise(ends)]
    reel = _Reel(iter(frames), count)
    if kind == ".gif" and reel.width * reel.height * count > MOST_GIF:
        raise SimulacraError("A GIF of so many and so large pictures would not fit the memory: make it a .webp.")
    options: dict[str, Any] = {"save_all": True, "duration": times}
    if loop or kind == ".webp":  # WebP counts times, and 0 is for ever; a GIF without a count plays once
        options["loop"] = 0 if loop else 1
    if kind == ".webp":
        options |= {"quality": 85, "method": 3, "minimize_size": False}
    reel.save(file, kind[1:].upper(), **options)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise SimulacraError(f"MP4 needs PyAV ({error}): pip install 'simulacra[film]', or write a .webp.") from error
    return av


def _write_mp4(file: IO[bytes], frames: Iterable[Image.Image], fps: float) -> None:
    from fractions import Fraction

    av = _av()
    rate = Fraction(fps).limit_denominator(1000)
    with av.open(file, "w", format="mp4") as container:
        stream = None
        for image in frames:
            even = (image.width + image.width % 2, image.height + image.height % 2)
            plain = _on_white(image)
            plain = plain if plain.size == even else plain.resize(even, Image.Resampling.BICUBIC)
            if stream is None:
                codec = next(name for name in CODECS if name in av.codecs_available)
                stream = container.add_stream(codec, rate=rate)
                stream.width, stream.height, stream.pix_fmt = *even, "yuv420p"
                stream.options = {"crf": "17"} if codec == "libx264" else {}
            for packet in stream.encode(av.VideoFrame.from_image(plain)):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)


def _on_white(image: Image.Image) -> Image.Image:
    """RGB; what is transparent is white."""
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")

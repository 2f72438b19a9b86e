"""The size of `--size auto`, and which pictures are smaller than a size."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping

from simulacra.console import say
from simulacra.data.decoding import Crop, crop_box, upright_size
from simulacra.data.items import Item
from simulacra.data.prepare_options import PrepareOptions
from simulacra.data.rejects import UnusablePicture

SIDES = (32, 48, 64, 96, 128)  # that auto chooses from, in pixels
ON_CPU = 64  # pixels: the largest side that auto takes without an accelerator, where larger ones take hours
SAMPLED = 256  # pictures of a source that auto looks at
COMMON = 64  # pixels: the side that the cost of another one is compared with

Sizes = Mapping[tuple[int, int], int]  # (width, height) in pixels, upright -> count


def is_enlarged(width: int, height: int, size: tuple[int, int], crop: Crop) -> bool:
    """Whether a picture is enlarged to become one of `size` (H, W)."""
    left, top, right, bottom = crop_box(width, height, size, crop)
    return round(right - left) < size[1] or round(bottom - top) < size[0]


def share_reaching(side: int, sizes: Sizes, crop: Crop) -> float:
    """The share of the pictures that need not be enlarged to `side` x `side`."""
    reaching = sum(count for size, count in sizes.items() if not is_enlarged(*size, (side, side), crop))
    return reaching / max(1, sum(sizes.values()))


def largest_reached(sizes: Sizes, crop: Crop = "centre") -> int:
    """The largest of `SIDES` that more than half of the pictures reach; the smallest where they reach none.

    Without an accelerator, none above `ON_CPU`.
    """
    reached = max((side for side in SIDES if share_reaching(side, sizes, crop) > 0.5), default=SIDES[0])
    return reached if reached <= ON_CPU or _has_accelerator() else ON_CPU


def _has_accelerator() -> bool:
    from simulacra.device import choose_device  # torch takes seconds to import, and small pictures need not ask

    return choose_device("auto").type != "cpu"


def choose_size(sources: Iterable[list[Item]], options: PrepareOptions) -> tuple[int, int]:
    """The size (H, W) of `--size auto` for the pictures of these sources; says which, and what it costs."""
    sizes: Counter[tuple[int, int]] = Counter()
    for items in sources:
        for item in items[:: max(1, len(items) // SAMPLED)]:
            with contextlib.suppress(UnusablePicture):  # `prepare` says why
                size = upright_size(item.read(), int(options.max_megapixels * 1e6))
                sizes[size] += min(size) >= options.min_side
    side = largest_reached(sizes, options.crop)
    share, times = share_reaching(side, sizes, options.crop), (side / COMMON) ** 2
    larger = next((wider for wider in SIDES if wider > side), SIDES[-1])
    capped = side == ON_CPU and larger > side and share_reaching(larger, sizes, options.crop) > 0.5
    code = "data.auto_size_cpu" if capped else "data.auto_size" if share > 0.5 else "data.auto_size_smallest"
    say(code, side=side, sides=list(SIDES), share=share, times=f"{times:.2g}", common=COMMON)
    return side, side

"""Commands that make a dataset of pictures: inspect, prepare, join."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simulacra.cli.entry import command
from simulacra.errors import SimulacraError

if TYPE_CHECKING:
    from simulacra.data.prepare_options import PrepareOptions


@command("data", "simulacra inspect photos")
def inspect(source: str, /, *, json: bool = False) -> None:
    """Report what is wrong with pictures before any time is spent on them.

    Parameters
    ----------
    source
        A folder, zip, tar, IDX file, CIFAR archive, prepared dataset, address of a joined one, or peeps.
    json
        Print the report as one line of JSON; progress goes to the standard error.
    """
    from simulacra.console import errors
    from simulacra.data.inspect import inspect as look
    from simulacra.data.inspect import print_json, print_report

    if json:
        print_json(look(source, output=errors))
    else:
        print_report(look(source))


@command("data", "simulacra prepare photos faces --size 64")
def prepare(
    source: str,
    out: Path,
    pair: Path | None = None,
    /,
    *,
    size: str = "auto",
    crop: str = "centre",
    channels: Literal["auto", "grey", "rgb", "rgba"] = "auto",
    background: str = "white",
    per_folder: int | None = None,
    limit: int | None = None,
    labels: str = "auto",
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    resample: Literal["lanczos", "bicubic", "box"] = "lanczos",
    min_side: int = 8,
    max_megapixels: float = 100,
    drop_duplicates: bool = False,
    keep_originals: int = 0,
    workers: int | None = None,
    shard: str | None = None,
    zip: Path | None = None,
) -> None:
    """Make a dataset of pictures: choose, crop, resize, pack and split. The source is not changed.

    For translators: prepare A B PAIR takes two sources. A single source may hold both domains in folders such as
    trainA and trainB, train/A and train/B, or A and B.

    Parameters
    ----------
    source
        A folder, zip, tar, IDX file, CIFAR archive, prepared dataset, or peeps.
    out
        Folder of the new dataset; with a third argument, the pictures of the second domain.
    pair
        Folder of the new pair of domains.
    size
        Side in pixels, WIDTHxHEIGHT, or auto: the largest of 32, 48, 64, 96 and 128 that most pictures reach.
    crop
        centre: the largest centred part of that shape; none: squeeze the whole picture; or a share such as 0.5.
    channels
        auto is grey if no picture has colour, else rgb; rgba keeps transparency.
    background
        Colour behind transparent pictures, as a name or #rrggbb.
    per_folder
        At most so many pictures from each folder.
    limit
        At most so many pictures in all.
    labels
        auto, none, folder, or the column of a table that becomes the class.
    split
        Shares for training, validation and test.
    seed
        Decides which pictures are taken, and their order.
    resample
        Filter that makes pictures smaller.
    min_side
        Pictures with a shorter side are set aside.
    max_megapixels
        Larger pictures are set aside before they are decoded.
    drop_duplicates
        Keep one picture of each group of exact duplicates.
    keep_originals
        2, 4 or 8: also store the same crops at up to so many times the size, for upscale; 4 takes 20 times the disk.
    workers
        Processes; one a core if not given.
    shard
        i/N, such as 3/8: prepare only the third of eight shards, for join; the same command continues after a stop.
    zip
        Also write a zip in StyleGAN's format.
    """
    from simulacra.console import console, say
    from simulacra.data.dataset import Pair
    from simulacra.data.prepare import export_zip
    from simulacra.data.prepare import prepare as make
    from simulacra.data.prepare_options import PrepareOptions, parse_crop, parse_size
    from simulacra.data.printing import print_prepared

    options = PrepareOptions(
        size=parse_size(size), crop=parse_crop(crop), channels=channels, background=background, per_folder=per_folder,
        limit=limit, labels=labels, split=split, seed=seed, resample=resample, min_side=min_side,
        max_megapixels=max_megapixels, drop_duplicates=drop_duplicates, keep_originals=keep_originals, workers=workers,
    )  # fmt: skip
    if shard is not None:
        if pair is not None or zip is not None:
            raise SimulacraError("data.shard_alone")
        _prepare_shard(source, out, shard, options)
        return
    folder = out if pair is None else pair
    data = make(source, out, options) if pair is None else make(source, pair, options, b=out)
    print_prepared(folder, data)
    say("data.train_next", path=folder)
    if zip is not None:
        if isinstance(data, Pair):
            raise SimulacraError("data.zip_holds_one_domain", path=folder)
        export_zip(data, zip)
        console.print(str(zip), markup=False)


def _prepare_shard(source: str, out: Path, word: str, options: PrepareOptions) -> None:
    from simulacra.console import say
    from simulacra.data.shard_format import parse_share
    from simulacra.data.shards import prepare_shard
    from simulacra.files import read_json

    shard = prepare_shard(source, out, parse_share(word), options)
    say("data.prepared_shard", path=out, number=shard.number, shards=shard.count, count=shard.shape[0])
    if count := len(read_json(out / "rejects.json")):
        say("data.set_aside", count=count, path=out / "rejects.json")
    say("data.join_next")


@command("data", "simulacra join faces shard-1 shard-2 shard-3")
def join(out: str, /, *shards: str) -> None:
    """Join the shards of a source to one dataset, which train and all other commands read; no picture is copied.

    Each shard is read once and compared with its hashes. The order in which shards are named has no influence.

    Parameters
    ----------
    out
        New folder that lists the shards, or its address, such as s3://bucket/faces.
    shards
        Folders or addresses of all shards; out names them relative to itself.
    """
    from simulacra.console import say
    from simulacra.data.join import join as write

    data = write(out, shards)
    parts = [f"{count:,} {part}" for part, count in data.splits.items()]
    say("data.joined", path=out, shards=len(shards), count=len(data), parts=parts, hash=data.hash[:12])
    say("data.train_next", path=out)

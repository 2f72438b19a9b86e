"""Does a change of the code change what training computes? Hashes of 20 steps of every GAN, to compare before and after.

    python scripts/fingerprints.py before.json      # on the old code
    python scripts/fingerprints.py after.json       # on the new code
    python scripts/fingerprints.py --compare before.json after.json

For every GAN's tiny presets (with labels and without), and for what `auto` builds for drawings, labelled pictures and
pairs, it trains for 20 steps of each player in fp32 on one thread and hashes every tensor of the last checkpoint
(weights, averages, buffers, optimizers) and every number in the journal that is not a time or an amount of memory. The names of
tensors are not hashed, so that an attribute may be renamed. Only the command line's and the front door's stable parts are used.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import simulacra

STEPS = 20
BATCH = 4
TIMELY = {"seconds", "images_per_second", "memory_mib"}


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in a nested state."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def digest(tensor: torch.Tensor) -> str:
    """Hash of a tensor's type, shape and bits."""
    plain = tensor.detach().cpu().contiguous()
    bits = plain.view(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return hashlib.sha256(f"{plain.dtype}{tuple(plain.shape)}".encode() + bits).hexdigest()


def fingerprint(run: Path) -> dict[str, str]:
    """Hashes of a finished run: its state, its average as a model file, its journal."""
    from safetensors.torch import load_file

    last = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    state = torch.load(last / "state.pt", weights_only=True)
    weights = load_file(last / "G.safetensors")
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    numbers = [
        {name: value for name, value in line.items() if name not in TIMELY and isinstance(value, int | float)}
        for line in lines
    ]
    return {
        "state": hashlib.sha256("".join(sorted(map(digest, tensors(state)))).encode()).hexdigest()[:16],
        "model": hashlib.sha256("".join(sorted(map(digest, weights.values()))).encode()).hexdigest()[:16],
        "journal": hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16],
    }


def data_sets(folder: Path) -> dict[str, str]:
    """Small data sets made of the built-in people: drawings, pictures with classes, pairs."""

    def prepare(*words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "simulacra.cli", "prepare", *words], check=True, stdout=subprocess.DEVNULL
        )

    made = {}
    for name, words in {
        "drawings16": ("--size", "16", "--limit", "64", "--labels", "none"),
        "drawings32": ("--size", "32", "--limit", "1600", "--labels", "none"),
        "few32": ("--size", "32", "--limit", "100", "--labels", "none"),
        "other16": ("--size", "16", "--limit", "64", "--labels", "none", "--seed", "1"),
        "other80": ("--size", "80", "--limit", "16", "--labels", "none", "--seed", "1"),
        "one80": ("--size", "80", "--limit", "16", "--labels", "none"),
    }.items():
        prepare("peeps", str(folder / name), *words)
        made[name] = str(folder / name)
    from PIL import Image

    for name in ("labelled16", "labelled32"):
        size = int(name[-2:])
        for kind in range(3):
            (folder / f"{name}-source" / f"kind{kind}").mkdir(parents=True)
            for n in range(30):
                colour = tuple((37 * n + 90 * kind * (channel + 1)) % 256 for channel in range(3))
                picture = Image.linear_gradient("L").resize((size, size)).rotate(90 * kind)
                painted = Image.merge("RGB", [picture.point([(v * c) // 255 for v in range(256)]) for c in colour])
                painted.save(folder / f"{name}-source" / f"kind{kind}" / f"{n:03d}.png")
        prepare(str(folder / f"{name}-source"), str(folder / name), "--size", str(size))
        made[name] = str(folder / name)
    for name, pair in {"pair16": ("drawings16", "other16"), "pair80": ("one80", "other80")}.items():
        prepare(*(made[part] for part in pair), str(folder / name), "--size", name[-2:])
        made[name] = str(folder / name)
    return made


def cases(data: dict[str, str]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Name, data set, GAN and settings of each run."""
    for name, gan in simulacra.GANS.items():
        for preset in gan.presets:
            if not preset.startswith("tiny"):
                continue
            spec = f"{name}:{preset}"
            if gan.task == "translate":
                yield spec, data["pair16"], spec, {}
                continue
            if not gan.Config().conditional:
                yield spec, data["drawings16"], spec, {}
            if gan.takes_labels:
                yield f"{spec} with labels", data["labelled16"], spec, {"conditional": True}
    for augment in ({"augment": "ada", "augment_p": 0.5}, {"augment": "diff"}):
        yield f"dcgan:tiny augment={augment['augment']}", data["drawings16"], "dcgan:tiny", augment
    for name in ("drawings32", "few32", "labelled32", "pair16", "pair80"):
        yield f"auto {name}", data[name], "auto", {}


def main(arguments: list[str]) -> int:
    """Write the hashes, or compare two files of them; 1 where any differ."""
    if len(arguments) == 3 and arguments[0] == "--compare":
        before, after = (json.loads(Path(path).read_text()) for path in arguments[1:])
        different = [name for name in before | after if before.get(name) != after.get(name)]
        for name in different:
            print(f"{name}: {before.get(name)} before, {after.get(name)} after")
        print(f"{len(before | after) - len(different)} of {len(before | after)} equal")
        return bool(different)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    hashes = {}
    with tempfile.TemporaryDirectory() as scratch:
        data = data_sets(Path(scratch))
        for name, source, spec, settings in cases(data):
            run = Path(scratch) / "runs" / name.replace(" ", "-").replace(":", "-")
            total = STEPS * BATCH
            options: dict[str, Any] = {"total": total, "every": total // 4, "seed": 1, "precision": "fp32"}
            simulacra.train(
                source, gan=spec, run=run, device="cpu", quiet=True, settings=settings | {"batch": BATCH}, **options
            )
            hashes[name] = fingerprint(run)
            print(name, *hashes[name].values(), flush=True)
    Path(arguments[0]).write_text(json.dumps(hashes, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

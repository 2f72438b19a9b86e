"""What the tests of the explorer share: small models and a small run in folders."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from support import build

from simulacra.data.opening import open_pair
from simulacra.explore import server
from simulacra.explore.guard import Guard
from simulacra.explore.osc import Osc
from simulacra.explore.server import Explorer
from simulacra.gan import GAN, Generator
from simulacra.measure.choose import mark_best
from simulacra.registry import configured
from simulacra.storage import load, save_model
from simulacra.training.previews import Previews, TranslationPreviews

ATTRIBUTES = ("glasses", "hair: red", "hair: brown")
DOMAINS = ("ones", "others")


def model(folder: Path, spec: str = "dcgan:tiny", seed: int = 0) -> Path:
    """An untrained model's folder, whose pictures differ from seed to seed. spec: `dcgan:tiny+attributes`, too."""
    gan = build(spec) if not spec.endswith("+attributes") else attributed(spec.removesuffix("+attributes"))
    with torch.no_grad():
        source = torch.Generator().manual_seed(seed)
        for parameter in gan.G.parameters():
            if parameter.dim() > 1:
                scale = max(float(parameter.std()), parameter[0].numel() ** -0.5)
                parameter.copy_(torch.randn(parameter.shape, generator=source) * scale)
    if gan.task == "draw" and gan.G.labels:
        gan.G.store_labels(torch.eye(3) if gan.G.attributes else torch.arange(gan.G.labels))
        gan.G.classes = ATTRIBUTES if gan.G.attributes else ("ann", "bob", "cat")
    if gan.task == "translate":
        gan.G.classes = DOMAINS
    save_model(gan.G, folder, gan=gan.name, config=gan.config, about={"data": "tiny", "nimg": 160 * (seed + 1)})
    return folder


def attributed(spec: str) -> GAN:
    """A GAN of pictures with attributes."""
    gan, config = configured(spec, (3, 16, 16), {"conditional": True}, labels=len(ATTRIBUTES), attributes=True)
    torch.manual_seed(0)
    return gan(config)


def run(folder: Path, checkpoints: int = 3, data: Path | None = None) -> Path:
    """A run's folder with checkpoints, previews, a journal, scores and a best checkpoint.

    data: a pair on disk, of a run that translates.
    """
    lines, scores = [], []
    for i in range(checkpoints):
        nimg = 160 * (i + 1)
        generator = load(
            model(folder / "checkpoints" / f"{nimg:09d}", "cyclegan:tiny" if data else "stylegan2:tiny", seed=i)
        )
        previews = TranslationPreviews(open_pair(data)) if data else Previews(generator)
        previews.save(folder / "previews" / f"{nimg:09d}.png", list(previews.draw(generator)))
        clock = {"epoch": 1.0, "seconds": 1.0, "d_plays": 1, "g_plays": 1, "images_per_second": 9.0}
        lines.append({"nimg": nimg, "d_loss": 1.0 - i / 10, "g_loss": 1.0 + i / 10} | clock)
        kid = {"value": 2.0 - i, "low": 1.9 - i, "high": 2.1 - i, "better": "lower", "what": "", "n": 10, "n_real": 10}
        scores.append({"nimg": nimg, "model": "m", "extractor": {}, "on": "train", "data": "d", "n": 10, "n_real": 10,
                       "seeds": "0-9", "leads": "kid", "scores": {"kid": kid}})  # fmt: skip
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    if data:
        (folder / "config.json").write_text(json.dumps({"data": {"source": str(data)}}))
    mark_best(folder)
    return folder


def with_config(run: Path, data: Path, total: int = 480) -> Path:
    """Give a run of `run` the config.json of one on `data` that is `total` images long."""
    model = json.loads((run / "checkpoints" / "000000160" / "config.json").read_text())
    config = {
        "format": "simulacra-run-1", "task": "draw", "spec": "stylegan2:tiny", "gan": "stylegan2", "config": model["config"],
        "data": {"hash": "x", "name": "tiny", "source": str(data), "pictures": 24, "shape": [3, 16, 16]}, "seed": 0,
        "length": {"total": total, "minutes": None, "tick": 100, "save": 1000, "measure": 0, "schedule": None},
        "precision": "fp32", "reasons": [], "why": [],
    }  # fmt: skip
    (run / "config.json").write_text(json.dumps(config))
    return run


def spread(generator: Generator) -> float:
    """How much pictures differ from seed to seed: 0 where all are the same."""
    return float(torch.cat(list(generator.pictures(range(8)))).std(0).mean())


@contextlib.contextmanager
def served(root: Path, *names: str, prefix: str = "", osc: Osc | None = None) -> Iterator[dict[str, str]]:
    """Explorers of models and runs in a folder, each at its address. prefix: of the addresses' paths, such as `/model`."""
    urls, running_servers = {}, []
    for name in names:
        explorer, bound = Explorer(root / name, osc), server.listen("127.0.0.1", 0)
        application = explorer.application()
        if prefix:
            routes = [*server.shared_routes(), Mount(prefix, routes=explorer.routes())]
            application = Guard(Starlette(routes=routes), host="127.0.0.1")
        running = uvicorn.Server(server.uvicorn_config(application))
        thread = threading.Thread(target=running.run, args=([bound],), daemon=True)
        thread.start()
        urls[name] = f"http://127.0.0.1:{bound.getsockname()[1]}{prefix}/"
        running_servers.append((running, thread, explorer))
    yield urls
    for running, thread, explorer in running_servers:
        running.should_exit = True
        explorer.stop()
        thread.join(10)

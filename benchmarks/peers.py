"""Train the GAN of another toolkit on a prepared dataset, and draw from it: for `quality.py`.

It runs in an environment of its own, because these toolkits need other packages:

    python -m venv peers
    peers/bin/pip install -c constraints.txt -r benchmarks/peers_requirements.txt
    peers/bin/pip install --no-deps -r benchmarks/peers_toolkits.txt

    peers/bin/python benchmarks/peers.py train lightweight-gan DATA OUT --minutes 10
    peers/bin/python benchmarks/peers.py draw lightweight-gan OUT --moment 5 --psi 1 --samples 5000

Both toolkits refuse to start without CUDA: on a CPU their CUDA calls are redirected, and nothing else is changed. In
their favour, their progress pictures and checkpoints cost no time, generators are kept at as many moments as ours, and
the better of full variety and their truncation is chosen. The pictures are those of the live generator: in both
packages the average of weights begins at step 20,000, which no run of minutes on a CPU reaches.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

BATCH = 64
MODULES = {
    "lightweight-gan": "lightweight_gan.lightweight_gan",
    "stylegan2-pytorch": "stylegan2_pytorch.stylegan2_pytorch",
}
# Changes to the defaults of their command lines. Gradients are not accumulated over several batches, as their defaults do
# to save memory of a GPU. disc_output_size: the only one that lightweight-gan can build at 32 px.
# The -small ones are narrower, for a CPU, by settings that their own READMEs and command lines offer.
SETTINGS: dict[str, dict[str, Any]] = {
    "lightweight-gan":         {"batch_size": 4, "disc_output_size": 5, "attn_res_layers": [32]},
    "lightweight-gan-small":   {"batch_size": 4, "disc_output_size": 5, "attn_res_layers": [], "fmap_max": 64},
    "stylegan2-pytorch":       {"batch_size": 8, "ttur_mult": 1.5},
    "stylegan2-pytorch-small": {"batch_size": 8, "ttur_mult": 1.5, "network_capacity": 4},
}  # fmt: skip
PSI = {"lightweight-gan": (1.0,), "stylegan2-pytorch": (1.0, 0.75)}  # 0.75 is the default of its command line


class OnCPU(types.ModuleType):
    """Stands in for `torch` in a toolkit: every device is the CPU."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def device(*_: Any) -> torch.device:
        """The CPU."""
        return torch.device("cpu")


def toolkit(name: str) -> Any:
    """The toolkit's module, patched to run without CUDA device there is none."""
    sys.modules["aim"] = types.ModuleType("aim")  # a tracker of experiments; not used
    if on_gpu():
        return importlib.import_module(MODULES[plain(name)])
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):  # a build for CUDA lacks them on a CPU, and nothing here uses them
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    available, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    module: Any = importlib.import_module(MODULES[plain(name)])
    torch.cuda.is_available = available
    module.torch = OnCPU("torch")
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    return module


def on_gpu() -> bool:
    """Whether CUDA is available, as the toolkits expect."""
    return torch.cuda.is_available()


def now() -> float:
    """CPU seconds, or wall-clock seconds on a GPU."""
    return time.monotonic() if on_gpu() else time.process_time()


def plain(name: str) -> str:
    """`lightweight-gan-small` -> `lightweight-gan`."""
    return name.removesuffix("-small")


def trainer(module: Any, name: str, out: Path, side: int, channels: int) -> Any:
    """The toolkit's trainer with our settings."""
    own: dict[str, Any] = {"transparent": channels == 4}
    if plain(name) == "lightweight-gan":
        own |= {"use_aim": False, "greyscale": channels == 1}
    toolkit_trainer = module.Trainer(base_dir=out, image_size=side, num_workers=0, **own, **SETTINGS[name])
    toolkit_trainer.evaluate = toolkit_trainer.save = lambda *_, **__: None
    toolkit_trainer.init_GAN()
    return toolkit_trainer


def generator(toolkit_trainer: Any, name: str) -> dict[str, nn.Module]:
    """The networks that draw."""
    return (
        {"G": toolkit_trainer.GAN.G}
        if plain(name) == "lightweight-gan"
        else {"S": toolkit_trainer.GAN.S, "G": toolkit_trainer.GAN.G}
    )


@torch.no_grad()
def draw_pictures(module: Any, toolkit_trainer: Any, name: str, n: int, psi: float, grey: bool) -> NDArray[np.uint8]:
    """`n` pictures [n, H, W, C], drawn by the toolkit's own function."""
    device = "cuda" if on_gpu() else "cpu"
    toolkit_trainer.GAN.eval()
    toolkit_trainer.av = None  # the cached mean style
    parts = []
    for start in range(0, n, BATCH):
        count = min(BATCH, n - start)
        if plain(name) == "lightweight-gan":
            pictures = toolkit_trainer.generate_(
                toolkit_trainer.GAN.G, torch.randn(count, toolkit_trainer.GAN.latent_dim, device=device)
            )
        else:
            g = toolkit_trainer.GAN.G
            style = module.noise_list(count, g.num_layers, g.latent_dim, device=0)
            noise = module.image_noise(count, g.image_size, device=0)
            pictures = toolkit_trainer.generate_truncated(toolkit_trainer.GAN.S, g, style, noise, trunc_psi=psi)
        pictures = pictures.mean(1, keepdim=True) if grey else pictures
        parts.append(pictures.mul(255).add(0.5).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy())
    toolkit_trainer.GAN.train()
    return np.concatenate(parts)


def export(data: Path, folder: Path) -> tuple[int, int]:
    """Write the training pictures of a prepared dataset of squares as PNGs; returns side and channels."""
    record = json.loads((data / "data.json").read_text())
    images = np.load(data / "images.npy", mmap_mode="r")[: record["splits"]["train"]]
    _, side, _, channels = images.shape
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(images):
            Image.fromarray(picture[:, :, 0] if channels == 1 else picture).save(folder / f"{i:06d}.png")
        (folder / "whole").touch()
    return side, channels


def set_seed(seed: int) -> None:
    """Seed the three sources of randomness that the toolkits use."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def train(name: str, data: Path, out: Path, minutes: float, moments: int, choice: int, seed: int) -> None:
    """Train for `minutes`; store the generator at `moments` moments, and `choice` pictures of each to choose one."""
    side, channels = export(data, out / "pictures")
    set_seed(seed)
    module = toolkit(name)
    toolkit_trainer = trainer(module, name, out / "work", side, channels)
    toolkit_trainer.set_data_src(out / "pictures")
    networks = generator(toolkit_trainer, name)
    states = dict[int, dict[str, NDArray[Any]]]()
    untrained = draw_pictures(module, toolkit_trainer, name, choice, 1.0, channels == 1)
    wall, cpu, images_shown, steps = 0.0, 0.0, [0], 0
    batch = toolkit_trainer.batch_size * toolkit_trainer.gradient_accumulate_every
    for moment in range(1, moments + 1):
        began = time.monotonic(), now()
        until = began[1] - cpu + 60 * minutes * moment / moments
        while now() < until:
            toolkit_trainer.train()
            steps += 1
        wall, cpu = wall + time.monotonic() - began[0], cpu + now() - began[1]
        images_shown.append(steps * batch)
        states[moment] = {f"{part}.{key}": value.cpu().numpy().copy() for part, network in networks.items()
                          for key, value in network.state_dict().items()}  # fmt: skip
    np.save(out / "0-1.npy", untrained)
    for moment in range(1, moments + 1):
        np.savez(out / f"{moment}.npz", **states[moment])  # type: ignore[arg-type]
        for psi in PSI[plain(name)]:
            np.save(
                out / f"{moment}-{psi:g}.npy",
                pictures_of(module, toolkit_trainer, name, out, moment, psi, choice, channels),
            )
    record = {"name": name, "settings": SETTINGS[name], "side": side, "channels": channels, "shown": images_shown}
    record |= {
        "seconds": wall,
        "cpu_seconds": cpu,
        "threads": torch.get_num_threads(),
        "augmented": toolkit_trainer.aug_prob,
    }
    (out / "trained.json").write_text(json.dumps(record, indent=2))
    print(f"{name}: {images_shown[-1]} pictures in {steps} steps, {images_shown[-1] / cpu:.2f} a second of CPU")


def pictures_of(
    module: Any, toolkit_trainer: Any, name: str, out: Path, moment: int, psi: float, n: int, channels: int
) -> NDArray[np.uint8]:
    """`n` pictures of the generator at a moment."""
    with np.load(out / f"{moment}.npz", allow_pickle=False) as stored:
        for part, network in generator(toolkit_trainer, name).items():
            network.load_state_dict({key: torch.from_numpy(stored[f"{part}.{key}"]) for key in network.state_dict()})
    return draw_pictures(module, toolkit_trainer, name, n, psi, channels == 1)


def draw(name: str, out: Path, moment: int, psi: float, samples: int) -> None:
    """Draw `samples` pictures of a moment into `drawn.npy`."""
    record = json.loads((out / "trained.json").read_text())
    set_seed(1_000_000)
    module = toolkit(name)
    toolkit_trainer = trainer(module, name, out / "work", record["side"], record["channels"])
    np.save(
        out / "drawn.npy", pictures_of(module, toolkit_trainer, name, out, moment, psi, samples, record["channels"])
    )


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("train")
    first.add_argument("name", choices=SETTINGS)
    first.add_argument("data", type=Path)
    first.add_argument("out", type=Path)
    first.add_argument("--minutes", type=float, default=5)
    first.add_argument("--moments", type=int, default=5)
    first.add_argument("--choice", type=int, default=1000)
    first.add_argument("--seed", type=int, default=0)
    second = commands.add_parser("draw")
    second.add_argument("name", choices=SETTINGS)
    second.add_argument("out", type=Path)
    second.add_argument("--moment", type=int, required=True)
    second.add_argument("--psi", type=float, default=1)
    second.add_argument("--samples", type=int, default=5000)
    record = vars(parser.parse_args())
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    train(**record) if record.pop("command") == "train" else draw(**record)


if __name__ == "__main__":
    main()

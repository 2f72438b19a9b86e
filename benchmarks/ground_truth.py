"""The best scores that a translator could have: those of the ground truth itself, intact and with small flaws.

    python benchmarks/ground_truth.py emojipair

Needs a pair whose files have the same names in both domains (`benchmarks/emoji_people.py`). In place of translations,
the ground truths of held-out pictures are scored: as they are, blurred, with noise, moved, or mixed with the input. The
cost of a hardly visible flaw shows what a distance between translations and pictures means.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from simulacra.config import updated
from simulacra.data.opening import open_pair
from simulacra.measure.extractors.features import open_extractor, pictures_of
from simulacra.measure.metrics import by_name
from simulacra.measure.scores import ResampledScore
from simulacra.measure.translation.both_directions import held_out
from simulacra.measure.translation.evaluation import TranslationContext, TranslationProtocol
from simulacra.measure.translation.ground_truth import ground_truth_pairs, pairs
from simulacra.settings import Settings
from simulacra.translator import Side, Translator

Flaw = Callable[[Tensor, Tensor], Tensor]  # ground truth, input -> stand-in for the translation


def blurred(sigma: float) -> Flaw:
    """By a Gaussian of `sigma` px."""
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1).float()
    line = torch.exp(-((places / sigma) ** 2) / 2)
    line = line / line.sum()

    def flaw(truth: Tensor, image: Tensor) -> Tensor:
        c = truth.shape[1]
        padded = F.pad(truth, (reach,) * 4, "replicate")
        across = F.conv2d(padded, line.expand(c, 1, 1, -1), groups=c)
        return F.conv2d(across, line[:, None].expand(c, 1, -1, 1), groups=c)

    return flaw


FLAWS: dict[str, Flaw] = {
    "untranslated": lambda truth, image: image,
    "the ground truth": lambda truth, image: truth,
    "blurred by 0.4 px": blurred(0.4),
    "blurred by 0.6 px": blurred(0.6),
    "noise of 4/255": lambda truth, image: truth + torch.randn_like(truth) * 8 / 255,
    "noise of 8/255": lambda truth, image: truth + torch.randn_like(truth) * 16 / 255,
    "moved by 1 px": lambda truth, image: torch.roll(truth, 1, 3),
    "1/10 of the untranslated mixed in": lambda truth, image: 0.9 * truth + 0.1 * image,
}


class Oracle(Translator):
    """Returns the ground truth of each held-out picture, with a flaw."""

    def __init__(self, config: Settings, truths: dict[bytes, Tensor], flaw: Flaw) -> None:
        super().__init__(config)
        self.truths, self.flaw = truths, flaw
        self.place = torch.nn.Parameter(torch.zeros(1))  # gives the device

    def translate(self, images: Tensor, to: Side) -> Tensor:
        """The ground truths [N, C, H, W], with the flaw."""
        truths = torch.stack([self.truths[key(image)] for image in images])
        return self.flaw(truths, images).clamp(-1, 1)

    def translations(self, images: Iterator[Tensor], to: Side) -> Iterator[Tensor]:
        """`translate` for batches."""
        return (self.translate(batch, to) for batch in images)


def key(image: Tensor) -> bytes:
    """The bytes of a picture, by which it is looked up."""
    pixels: bytes = ((image + 1) * 127.5).round().byte().numpy().tobytes()
    return pixels


def main() -> None:
    """Print a table with a row per flaw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a prepared pair")
    data = open_pair(parser.parse_args().data)
    part = held_out(data)
    rows = ground_truth_pairs(data, part)
    if not len(rows):
        parser.error(f"no file of {data.name} has the same name in both domains")
    sides = [pictures_of(domain.split(part), rows[:, i], len(rows)) for i, domain in enumerate((data.a, data.b))]
    one, other = (torch.cat(list(side)) for side in sides)
    truths = {key(a): b for a, b in zip(one, other, strict=True)} | {key(b): a for a, b in zip(one, other, strict=True)}
    protocol = TranslationProtocol(data, extractor=open_extractor(), samples=len(rows), reals=5_000, choosing=False)
    config = updated(Settings(), {"shape": data.shape}, of="ground_truth")
    print(f"{data.name}, {len(rows)} pairs of {part}: fd-efl0d-112-ratio and pair-l1-ratio each way\n")
    print("| in place of translations | FD ratio | | error ratio | |\n|---|---|---|---|---|")
    for name, flaw in FLAWS.items():
        torch.manual_seed(0)
        oracle: Any = Oracle(config, truths, flaw)
        fds, errors = [], []
        scores = pairs(TranslationContext(generator=oracle, protocol=protocol))[0]
        for direction in protocol.directions:
            distances = direction.distances(direction.fakes(oracle, lambda n: None), [by_name("fd")])
            fds.append(next(score for name, score in distances.items() if "-ratio" in name))
            error = scores[f"pair-l1-ratio:{direction.name}"]
            assert isinstance(error, ResampledScore)
            errors.append(error)
        cells = [f"{score.resampled.value:.2f}" for score in (*fds, *errors)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""Labels after training: what a label asks for, what a seed is given, and the pictures drawn by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import build, refused
from torch import Tensor

from simulacra.errors import SimulacraError
from simulacra.gan import GAN, Generator, to_image
from simulacra.grid import Grid
from simulacra.provenance import read_provenance
from simulacra.registry import configured
from simulacra.sampling import format_label, label_rows, write_pictures
from simulacra.training.previews import Previews

CLASSES = ("T-shirt, top", "1", "Sneaker")
ATTRIBUTES = ("glasses", "smile", "hair: red", "hair: black", "hair: grey")


def conditional_generator(settings: dict[str, object], labels: int, *, attributes: bool = False) -> Generator:
    gan, config = configured("dcgan:tiny", (1, 16, 16), settings, labels=labels, attributes=attributes)
    torch.manual_seed(0)
    model: GAN = gan(config)
    for parameter in model.G.parameters():  # so that labels show in an untrained network
        torch.nn.init.normal_(parameter, std=0.3)
    generator: Generator = model.G.eval()
    return generator


@pytest.fixture(scope="module")
def classed() -> Generator:
    """Three classes, of which the first is half of the data and the last a tenth; the second is called 1."""
    generator = conditional_generator({"conditional": True}, 3)
    generator.classes = CLASSES
    generator.store_labels(torch.tensor([0] * 50 + [1] * 40 + [2] * 10))
    return generator


@pytest.fixture(scope="module")
def attributed() -> Generator:
    """Five attributes, three of them of one group; smiles come with glasses."""
    generator = conditional_generator({"conditional": True}, 5, attributes=True)
    generator.classes = ATTRIBUTES
    source = np.random.default_rng(0)
    rows = np.zeros((300, 5), np.float32)
    rows[:, 0] = rows[:, 1] = source.random(300) < 0.3
    rows[np.arange(300), 2 + source.integers(0, 3, 300)] = 1
    generator.store_labels(torch.from_numpy(rows))
    return generator


def conditions(generator: Generator, seeds: range | list[int], label: str = "") -> Tensor:
    y = generator.conditions(seeds, label)
    assert y is not None
    return y


# --- what a label asks for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("label", "number"), [("Sneaker", 2), ("2", 2), ("1", 1), ("0", 0), (" T-shirt, top ", 0)])
def test_a_class_is_named_or_numbered_and_a_name_comes_first(classed: Generator, label: str, number: int) -> None:
    assert conditions(classed, range(4), label).tolist() == [[float(i == number) for i in range(3)]] * 4
    assert format_label(classed, label) == CLASSES[number]


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("sneaker", "Did you mean 'Sneaker'"),
        ("3", "There are: T-shirt, top, 1, Sneaker"),
        ("-1", "no class called '-1'"),
    ],
)
def test_a_class_that_does_not_exist_is_said(classed: Generator, label: str, sentence: str) -> None:
    with pytest.raises(SimulacraError, match=sentence):
        classed.conditions([0], label)


def test_a_model_without_labels_takes_none() -> None:
    plain = build("dcgan:tiny").G
    assert plain.conditions([0, 1]) is None
    with refused("generator.no_labels"):
        plain.conditions([0], "Sneaker")
    with refused("sampling.no_labels"):
        label_rows(plain)


def test_attributes_are_set_and_the_rest_is_the_seed_s_own(attributed: Generator) -> None:
    own, set_rows = conditions(attributed, range(50)), conditions(attributed, range(50), "glasses, smile = 0.5,3=0")
    assert (set_rows[:, 0] == 1).all() and (set_rows[:, 1] == 0.5).all() and (set_rows[:, 3] == 0).all()
    assert torch.equal(set_rows[:, [2, 4]], own[:, [2, 4]])
    assert format_label(attributed, "smile=0.50, 0") == "glasses, smile=0.5"


@pytest.mark.parametrize(
    ("label", "hair"),
    [("hair: red", (1, 0, 0)), ("hair: red=0.5, hair: black=0.5", (0.5, 0.5, 0)), ("hair: grey, hair: red", (1, 0, 1))],
)
def test_of_a_group_only_what_was_asked_for_is_left(attributed: Generator, label: str, hair: tuple[float, ...]) -> None:
    assert conditions(attributed, range(20), label)[:, 2:].tolist() == [list(hair)] * 20


def test_half_of_a_group_leaves_the_other_half_to_the_seed(attributed: Generator) -> None:
    own, set_rows = conditions(attributed, range(50)), conditions(attributed, range(50), "hair: red=0.25")
    assert (set_rows[:, 2] == 0.25).all()
    assert torch.equal(set_rows[:, 3:], own[:, 3:] * 0.75)


@pytest.mark.parametrize(
    "label", ["smile=2", "smile=-0.1", "smile=nan", "smile=much", "smile=", "smlie", "smile,,", "9"]
)
def test_an_attribute_that_cannot_be_had_is_one_sentence(attributed: Generator, label: str) -> None:
    with pytest.raises(SimulacraError, match=r"0 to 1|no attribute"):
        attributed.conditions([0], label)


# --- what a seed is given ---------------------------------------------------------------------------------------------


def test_a_seed_has_the_same_label_alone_and_in_a_batch(classed: Generator, attributed: Generator) -> None:
    for generator in (classed, attributed):
        together = conditions(generator, [3, 2**62, 5])
        alone = torch.cat([conditions(generator, [seed]) for seed in (3, 2**62, 5)])
        assert torch.equal(together, alone)
        state = torch.get_rng_state()
        conditions(generator, range(5))
        assert torch.equal(torch.get_rng_state(), state)


def test_seeds_have_the_labels_of_the_data(classed: Generator, attributed: Generator) -> None:
    shares = conditions(classed, range(4000)).mean(0)
    assert torch.allclose(shares, torch.tensor([0.5, 0.4, 0.1]), atol=0.03)  # four deviations
    shares_in_bank = torch.bincount(classed.bank) / len(classed.bank)
    assert torch.allclose(shares_in_bank, torch.tensor([0.5, 0.4, 0.1]), atol=2e-3), "the bank itself is exact"
    y = conditions(attributed, range(1000))
    assert torch.equal(y[:, 0], y[:, 1]), "attributes come in whole rows of the data"
    assert 0.22 < y[:, 0].mean() < 0.38 and (y[:, 2:].sum(1) == 1).all()


def test_a_label_is_drawn_apart_from_the_latent(classed: Generator) -> None:
    z, y = classed.seeded(range(3000)), conditions(classed, range(3000))
    correlations = torch.corrcoef(torch.cat([z, y], 1).T)[: z.shape[1], z.shape[1] :]
    assert correlations.abs().max() < 0.08  # over four deviations of 3,000 independent ones


# --- pictures ---------------------------------------------------------------------------------------------------------


def bytes_of(picture: Tensor) -> np.ndarray:
    return np.asarray(to_image(picture)).astype(int)


def test_files_are_told_apart_by_their_label(classed: Generator, tmp_path: Path) -> None:
    (path,) = write_pictures(classed, tmp_path, [4], model="m", label="Sneaker")
    assert read_provenance(path) == {"model": "m", "seed": 4, "truncation": 1.0, "min_latent": 0.0, "label": "Sneaker"}
    before = path.stat().st_mtime_ns
    assert write_pictures(classed, tmp_path, [4], model="m", label="2") == [path], "the same class by its number"
    assert path.stat().st_mtime_ns == before
    with refused("sampling.another_picture"):
        write_pictures(classed, tmp_path, [4], model="m", label="1")
    own = CLASSES[int(conditions(classed, [4]).argmax())]
    (file,) = write_pictures(classed, tmp_path / "own", [4], model="m")
    assert write_pictures(classed, tmp_path / "own", [4], model="m", label=own) == [file], "what the seed had anyway"
    provenance = read_provenance(file)
    assert provenance is not None and provenance["label"] == own


def test_attributes_are_recorded_as_asked(attributed: Generator, tmp_path: Path) -> None:
    path, grid = write_pictures(attributed, tmp_path, [4], model="m", label="smile=0.5,glasses", grid=True)
    for image in (path, grid):
        provenance = read_provenance(image)
        assert provenance is not None and provenance["label"] == "glasses, smile=0.5"
    (plain,) = write_pictures(attributed, tmp_path / "plain", [4], model="m")
    assert "label" not in (read_provenance(plain) or {})


def test_a_row_for_each_class_with_all_seeds_and_its_name_at_the_left(classed: Generator, tmp_path: Path) -> None:
    counts: list[int] = []
    (path,) = write_pictures(
        classed, tmp_path, range(5), model="m", singles=False, by_label=True, advance=counts.append, truncation=0.9
    )
    assert path.name == "labels.png" and sum(counts) == 15
    assert read_provenance(path) == {
        "model": "m",
        "truncation": 0.9,
        "min_latent": 0.0,
        "seeds": "0-4",
        "rows": "labels",
    }
    with Image.open(path) as image:
        sheet = np.asarray(image).astype(int)
    assert sheet.shape[0] == 3 * 16
    margin = sheet.shape[1] - 5 * 16
    for row, name in enumerate(CLASSES):
        part = sheet[row * 16 : (row + 1) * 16]
        assert (part[:, :margin] < 128).any() and (part[:, 0] == 255).all(), "a name, on white"
        pictures = torch.cat(list(classed.pictures(range(5), label=name, truncation=0.9)))
        expected = np.concatenate([bytes_of(picture) for picture in pictures], axis=1)
        assert np.abs(part[:, margin:] - expected).max() <= 1
    assert np.abs(sheet[:16, margin:] - sheet[16:32, margin:]).max() > 5, "the label decides"


def test_rows_of_attributes_begin_with_the_seeds_as_they_come(attributed: Generator, tmp_path: Path) -> None:
    assert [name for name, _ in label_rows(attributed)] == ["as drawn", *ATTRIBUTES]
    rows = label_rows(attributed, "glasses")
    assert rows[0] == ("glasses", "glasses") and rows[2] == ("smile", "glasses, smile")
    (path,) = write_pictures(attributed, tmp_path, [0, 1], model="m", singles=False, by_label=True, label="glasses")
    provenance = read_provenance(path)
    assert provenance is not None and provenance["label"] == "glasses"
    with Image.open(path) as image:
        assert image.height == 6 * 16


def test_what_has_no_rows_or_too_large_ones_is_refused(classed: Generator, tmp_path: Path) -> None:
    with refused("sampling.rows_of_one_class", label="Sneaker"):
        write_pictures(classed, tmp_path, [0], model="m", by_label=True, label="Sneaker")
    with refused("sampling.rows_too_long"):
        write_pictures(classed, tmp_path, range(600), model="m", by_label=True, singles=False)
    many = conditional_generator({"conditional": True}, 600)
    with refused("sampling.too_many_rows", count=600):
        write_pictures(many, tmp_path, [0], model="m", by_label=True, singles=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_grid_s_names(channels: int) -> None:
    """Any name has room: long ones, accents, other writing, none at all."""
    names = ["", "Élan", "日本語", "x" * 200, "two\nlines", "🙂"]
    grid = Grid(12, (channels, 12, 10), columns=2, names=names)
    for _ in range(12):
        grid.add(torch.full((channels, 12, 10), -1.0))
    pixels = np.asarray(grid.image()).reshape(72, -1, channels)
    assert (pixels[:, -20:] == 0).all() and pixels.shape[1] < 420
    written = (pixels[:, :-20, 0] < 128).reshape(6, -1).any(1)
    assert written.tolist() == [False, True, True, True, True, True]
    assert channels < 4 or (pixels[:, :-20, 3] == 255).all()


# --- previews ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "rows"), [(1, 8), (2, 8), (3, 9), (4, 8), (5, 10), (7, 7), (10, 10)])
def test_previews_of_few_even_classes_have_whole_rows_of_each(classes: int, rows: int) -> None:
    generator = conditional_generator({"conditional": True}, classes)
    generator.store_labels(torch.arange(classes).repeat(30))
    previews = Previews(generator)
    assert previews.labels is not None and 60 <= previews.count == rows * previews.columns <= 64
    of = previews.labels.view(rows, previews.columns)
    assert (of == of[:, :1]).all() and torch.equal(of[:, 0], torch.arange(classes).repeat_interleave(rows // classes))


def test_previews_show_each_seed_with_its_place_s_class_and_the_data_s_shares(classed: Generator) -> None:
    previews = Previews(classed)
    assert previews.labels is not None and torch.equal(previews.labels, previews.labels.sort().values)
    assert (torch.bincount(previews.labels) / previews.count - torch.tensor([0.5, 0.4, 0.1])).abs().max() < 0.02
    pictures = previews.draw(classed)
    for place in (0, 40, 62):
        (alone,) = classed.pictures([place], label=CLASSES[int(previews.labels[place])])
        torch.testing.assert_close(pictures[place], alone[0], atol=1e-4, rtol=1e-4)
    first = torch.bincount(previews.shuffled(previews.labels)[:20]) / 20
    assert (first - torch.tensor([0.5, 0.4, 0.1])).abs().max() < 0.2, "whoever looks at the first few sees the mix"


def test_previews_of_attributes_or_many_classes_have_the_seeds_own(attributed: Generator) -> None:
    many = conditional_generator({"conditional": True}, 11)
    many.store_labels(torch.arange(11))
    for generator in (attributed, many):
        previews = Previews(generator)
        assert (previews.labels, previews.count, previews.columns) == (None, 64, 8)
        assert torch.equal(previews.draw(generator), torch.cat(list(generator.pictures(range(64)))))

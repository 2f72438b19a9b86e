"""`score`: any two sets of pictures, whatever they are stored in."""

from __future__ import annotations

import json
import math
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import blobs, stand_in
from numpy.typing import NDArray
from PIL import Image
from support import Cli, bomb, noise, on_disk, refused

import simulacra
from simulacra.data.opening import open_domain
from simulacra.measure import distances, grain, permutation
from simulacra.measure.evaluate import evaluate
from simulacra.measure.extractors.treatment import TREATMENT
from simulacra.measure.intervals import resampled_kid
from simulacra.measure.picture_sets import common_size, median_size, open_set
from simulacra.measure.score_records import SetScores
from simulacra.measure.set_printing import set_verdicts
from simulacra.measure.set_scores import LEAST
from simulacra.publish.scoring import score
from simulacra.sampling import write_pictures
from simulacra.storage import fingerprint, load_generator
from simulacra.training.options import train


@pytest.fixture(autouse=True)
def few_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permutation test of a few exchanges: what it finds is not the matter here."""
    monkeypatch.setattr(permutation, "EXCHANGES", 4)


@pytest.fixture(autouse=True)
def _coarse(coarse_extractor: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.measure.set_scores.open_extractor", stand_in)


def folder_of(folder: Path, pictures: NDArray[np.uint8], suffix: str = "png") -> Path:
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of one source, 40 pictures each."""
    root = tmp_path_factory.mktemp("two")
    pictures = blobs(80)
    return folder_of(root / "a", pictures[:40]), folder_of(root / "b", pictures[40:])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures, of them 20 held out."""
    return on_disk(tmp_path_factory.mktemp("data") / "blobs", blobs(), valid=20)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run."""
    return train(
        data, gan="dcgan:tiny", run=tmp_path_factory.mktemp("runs") / "a", total=120, save_every=120, quiet=True
    )


def numbers(value: Any) -> list[float]:
    """All numbers of a record."""
    if isinstance(value, dict | list):
        return [number for item in (value.values() if isinstance(value, dict) else value) for number in numbers(item)]
    return [value] if isinstance(value, int | float) else []


def sound(record: SetScores) -> None:
    """A record holds finite numbers only, and every interval holds its value."""
    assert all(map(math.isfinite, numbers(record)))
    json.dumps(record, allow_nan=False)
    for name, value in record["scores"].items():
        assert value["low"] <= value["value"] <= value["high"], name
    assert record["leads"] in record["scores"]


def values(record: SetScores) -> dict[str, float]:
    """The value of each score."""
    return {name: value["value"] for name, value in record["scores"].items()}


# --- what is compared -------------------------------------------------------------------------------------------------


def test_two_folders_of_one_source_score_the_floor(two: tuple[Path, Path]) -> None:
    record = score(*two)
    sound(record)
    assert record["n"] == record["n_real"] == 40
    assert record["size"] == [16, 16] and record["fakes"]["resized"] == record["reals"]["resized"] == 0
    leads = record["scores"][record["leads"]]
    assert leads["floor"] is not None and leads["low"] <= leads["floor"]
    assert {"fakes", "reals", "extractor", "treatment", "versions", "resize"} <= record.keys()
    assert "memorisation" not in record and len(record["nearest"]) > 3


def test_the_same_folder_twice_scores_the_floor_or_below(two: tuple[Path, Path]) -> None:
    record = score(two[0], two[0])
    sound(record)
    for name, value in record["scores"].items():
        floor = value["floor"]
        assert floor is not None
        assert value["value"] <= floor if value["better"] == "lower" else value["value"] >= min(1, floor), name
    assert record["fakes"]["hash"] == record["reals"]["hash"]
    assert any("same pictures" in warning for warning in record["warnings"])
    assert record["nearest"][0]["distance"] == 0


def test_the_same_pictures_score_the_same_in_every_container(two: tuple[Path, Path], tmp_path: Path) -> None:
    fakes, reals = two
    paths = sorted(fakes.iterdir(), key=lambda path: int(path.stem))
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    floats = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for path in paths:
            tar.add(path, path.name)
    np.savez(tmp_path / "bytes.npz", images=pixels, labels=np.arange(40))
    np.savez_compressed(tmp_path / "floats.npz", floats)
    np.save(tmp_path / "first.npy", pixels.transpose(0, 3, 1, 2))
    np.save(tmp_path / "last.npy", pixels)
    set_on_disk = on_disk(tmp_path / "set", pixels)
    sources: list[Any] = [tmp_path / "a.zip", tmp_path / "a.tar.gz", tmp_path / "bytes.npz", tmp_path / "floats.npz"]
    sources += [tmp_path / "first.npy", tmp_path / "last.npy", set_on_disk, f"{set_on_disk}:train"]
    sources += [pixels, floats, torch.from_numpy(floats), open_domain(set_on_disk)]
    expected = score(fakes, reals)
    for source in sources:
        record = score(source, reals)
        assert record["scores"] == expected["scores"], source
        assert record["fakes"]["hash"] == expected["fakes"]["hash"], source


def test_the_record_is_the_same_again_and_whatever_the_pictures_are_called(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    expected = score(*two)
    assert score(*two) == expected
    other = tmp_path / "a"
    other.mkdir()
    for path in sorted(two[0].iterdir(), reverse=True):  # another order on the disk
        shutil.copy(path, other / f"photo {int(path.stem):03d}.png")
    record = score(other, two[1])
    assert record["scores"] == expected["scores"]
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    for path in two[0].iterdir():
        shutil.copy(path, shuffled / f"{(7 * int(path.stem)) % 40}.png")
    again = score(shuffled, two[1])
    assert again["fakes"]["hash"] == expected["fakes"]["hash"]
    assert values(again) == pytest.approx(values(expected), rel=1e-9)


def test_agrees_with_evaluate_on_what_sample_wrote(run: Path, data: Path, tmp_path: Path) -> None:
    certificate, _ = evaluate(run, samples=60, out=tmp_path / "certificate.json")
    seeds = range(1_000_000, 1_000_060)
    generator = load_generator(run)
    write_pictures(generator, tmp_path / "drawn", seeds, model=fingerprint(run), grid=True, singles=True)
    for fakes in (tmp_path / "drawn", run):
        record = score(fakes, data, samples=60)
        shared = record["scores"].keys() & certificate["scores"].keys()
        assert {name.partition("-")[0] for name in shared} >= {"fd", "kid", "precision", "diversity"}
        assert record["leads"] == certificate["leads"]
        assert {name: record["scores"][name] for name in shared} == {
            name: certificate["scores"][name] for name in shared
        }, "with interval, floor and copies"
        assert record["fakes"]["set_aside"] == (fakes != run), "the grid beside the pictures"


@pytest.mark.parametrize("mode", ["grey", "rgb", "rgba"])
def test_agrees_with_evaluate_in_every_mode(mode: str, tmp_path: Path) -> None:
    channels = {"grey": 1, "rgb": 3, "rgba": 4}[mode]
    pictures = np.concatenate([blobs(), blobs(seed=1)[..., :1]], axis=3)[..., :channels]
    data = on_disk(tmp_path / "data", pictures)
    run = train(data, gan="dcgan:tiny", run=tmp_path / "run", total=60, save_every=60, quiet=True)
    certificate, _ = evaluate(run, samples=50, metrics=("fd", "kid", "prdc", "diversity"))
    write_pictures(load_generator(run), tmp_path / "drawn", range(1_000_000, 1_000_050), model=fingerprint(run))
    folder_of(tmp_path / "reals", pictures[np.sort(np.random.default_rng(0).permutation(120)[:50])].squeeze())
    for reals in (data, tmp_path / "reals"):
        record = score(tmp_path / "drawn", reals, samples=50)
        assert record["scores"].keys() >= certificate["scores"].keys()
        for name, expected in certificate["scores"].items():
            for key in ("value", "low", "high", "floor"):
                assert record["scores"][name][key] == pytest.approx(expected[key], abs=1e-6), (name, key)


def test_grain_compares_the_same_pictures_as_in_evaluate(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    treated = replace(stand_in(), name="coarsed", treated=True)
    monkeypatch.setattr(grain, "PICTURES", 40)
    certificate, _ = evaluate(run, samples=60, extractor=treated, metrics=("fd", "grain"))
    expected = certificate["scores"]["grain-coarse-48"]
    assert expected["n"] == expected["n_real"] == 40
    write_pictures(load_generator(run), tmp_path / "drawn", range(1_000_000, 1_000_060), model=fingerprint(run))
    for fakes in (tmp_path / "drawn", run):
        record = score(fakes, data, samples=60, extractor=treated)
        assert record["leads"] == "fd-coarsed-48" and record["treatment"] == TREATMENT
        for key in ("value", "low", "high", "floor", "n", "n_real"):
            assert record["scores"]["grain-coarse-48"][key] == pytest.approx(expected[key], abs=1e-6), key
    assert not any(name.startswith("grain") for name in score(run, data, samples=60)["scores"]), "nothing was treated"


# --- pictures of all kinds --------------------------------------------------------------------------------------------


def test_pictures_of_all_sizes_are_brought_to_one(two: tuple[Path, Path], tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for i, (width, height) in enumerate([(64, 48), (48, 64), (60, 60), (9, 9), (300, 20)]):
        Image.fromarray(noise(1, (3, height, width), i)[0]).save(mixed / f"{i}.png")
    record = score(mixed, two[1])
    sound(record)
    assert record["size"] == [16, 16] and record["fakes"]["size"] == [48, 60]
    assert (record["fakes"]["resized"], record["fakes"]["enlarged"]) == (5, 1)
    assert any("enlarged" in warning for warning in record["warnings"])
    assert score(two[1], mixed)["size"] == [16, 16]


def test_the_common_size_is_the_smaller_median_and_at_most_512(tmp_path: Path) -> None:
    for name, (height, width) in {"large": (1200, 800), "tall": (100, 40), "wide": (50, 90)}.items():
        folder_of(tmp_path / name, np.zeros((2, height, width, 3), np.uint8), "bmp")
        with open_set(tmp_path / name, samples=9) as pictures:
            assert median_size(pictures) == (height, width)
    assert common_size([(1200, 800)]) == (512, 341)
    assert common_size([(100, 40), (50, 90)]) == (50, 40)
    assert common_size([(1200, 800), (50, 90)]) == (50, 90)


def test_unseen_pictures_change_no_score(two: tuple[Path, Path]) -> None:
    record = score(*two, unseen=blobs(30, seed=5)[:, ::2, ::2])
    others = score(*two)["scores"]
    assert {name: record["scores"][name] for name in others} == others
    assert record["size"] == [16, 16] and record["unseen"]["size"] == [8, 8]


def test_pictures_of_all_modes_are_one_kind(tmp_path: Path) -> None:
    grey = blobs(12)[..., 0]
    originals = [Image.fromarray(picture) for picture in grey]
    modes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "L": lambda image: image,
        "RGB": lambda image: image.convert("RGB"),
        "P": lambda image: image.convert("P"),
        "LA": lambda image: image.convert("LA"),
        "RGBA": lambda image: image.convert("RGBA"),
        "16": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    }
    for mode, convert in modes.items():
        (tmp_path / mode).mkdir()
        for i, image in enumerate(originals):
            convert(image).save(tmp_path / mode / f"{i}.png")
    reals = folder_of(tmp_path / "reals", blobs(12, seed=1))
    expected = values(score(tmp_path / "L", reals))
    for mode in modes:
        assert values(score(tmp_path / mode, reals)) == pytest.approx(expected, abs=1e-6), mode
    (tmp_path / "CMYK").mkdir()
    for i, image in enumerate(originals):
        image.convert("RGB").convert("CMYK").save(tmp_path / "CMYK" / f"{i}.tif")
    sound(score(tmp_path / "CMYK", reals))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pictures = np.concatenate([blobs(10), np.zeros((10, 16, 16, 1), np.uint8)], axis=3)
    clear, white = folder_of(tmp_path / "clear", pictures), folder_of(tmp_path / "white", pictures[..., :3] * 0 + 255)
    assert score(clear, white, samples=10)["nearest"][0]["distance"] == 0


def test_a_bad_picture_is_set_aside_and_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    fakes = shutil.copytree(two[0], tmp_path / "fakes")
    (fakes / "text.png").write_text("not a picture")
    (fakes / "empty.png").touch()
    (fakes / "bomb.png").write_bytes(bomb(60_000, 60_000))
    whole = (fakes / "0.png").read_bytes()
    (fakes / "cut.png").write_bytes(whole[: len(whole) // 2])
    (fakes / "lost.png").symlink_to(tmp_path / "nowhere.png")
    record = score(fakes, two[1])
    assert record["scores"] == score(*two)["scores"]
    assert record["fakes"]["set_aside"] == 5 and record["fakes"]["pictures"] == 40
    assert {reject["name"] for reject in record["fakes"]["rejects"]} == {
        *("text.png", "empty.png", "bomb.png", "cut.png", "lost.png")
    }
    assert any("set aside" in warning for warning in record["warnings"])
    floats = blobs(8).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    floats[1, 0, 0, 0] = np.nan
    np.save(tmp_path / "nan.npy", floats)
    assert score(tmp_path / "nan.npy", two[1])["fakes"]["set_aside"] == 1
    assert score(floats, two[1])["fakes"]["set_aside"] == 1


# --- few pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fakes", "reals"), [(5, 5), (5, 40), (40, 5), (6, 7)])
def test_few_pictures_have_finite_scores_that_call_themselves_guesses(fakes: int, reals: int, tmp_path: Path) -> None:
    pictures = blobs(fakes + reals)
    record = score(pictures[:fakes], pictures[fakes:], out=tmp_path / "out")
    sound(record)
    assert any("guess" in warning for warning in record["warnings"])
    assert json.loads((tmp_path / "out" / "score.json").read_text()) == record


def test_fifty_pictures_have_a_wide_interval(tmp_path: Path) -> None:
    pictures = blobs(400)
    few, many = score(pictures[:50], pictures[50:100]), score(pictures[:200], pictures[200:])
    leads = few["leads"]
    width = {id(r): r["scores"][leads]["high"] - r["scores"][leads]["low"] for r in (few, many)}
    assert width[id(few)] > 1.5 * width[id(many)]


@pytest.mark.parametrize("count", [2, 4])
def test_fewer_than_five_pictures_have_no_honest_interval(count: int, two: tuple[Path, Path]) -> None:
    with refused("measure.set_too_small", count=count, least=5):
        score(blobs(count), two[1])
    with refused("measure.set_too_small", count=count, least=5):
        score(two[0], blobs(count))


def test_the_interval_of_five_pictures_covers_the_score() -> None:
    """Of two sources, as often as it says; with 3 pictures it would in 69 % of draws."""
    source = np.random.default_rng(0)
    truth = distances.kid(source.standard_normal((2000, 4)), source.standard_normal((2000, 4)) + 0.5)
    covered = 0
    for _ in range(100):
        score = resampled_kid(source.standard_normal((100, 4)), source.standard_normal((LEAST, 4)) + 0.5).interval()
        covered += score.low <= truth <= score.high
    assert covered > 85


def test_one_picture_is_one_sentence(two: tuple[Path, Path], tmp_path: Path) -> None:
    single = folder_of(tmp_path / "single", blobs(1))
    with refused("measure.set_too_small", name="single", count=1):
        score(single, two[1])
    with refused("measure.set_too_small", name="single", count=1):
        score(two[0], single)
    (single / "broken.png").write_text("no")
    with refused("measure.set_too_small_rejects", count=1):
        score(single, two[1])
    (single / "0.png").unlink()
    with refused("measure.set_unusable"):
        score(two[0], single)


def test_equal_pictures_leave_out_what_they_do_not_have(tmp_path: Path) -> None:
    flat = np.full((8, 16, 16, 3), 99, np.uint8)
    record = score(flat, flat)
    sound(record)
    assert any("diversity-coarse-48" in warning for warning in record["warnings"])
    sound(score(blobs(8), flat))
    sound(score(flat, blobs(8)))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"images": np.zeros((4, 5), np.uint8)}, "data.not_one_array"),
        ({"a": np.zeros((4, 8, 8, 3), np.uint8), "b": np.zeros((4, 8, 8, 3), np.uint8)}, "data.not_one_array"),
        ({"images": np.array([{"a": 1}, None])}, "data.not_one_array"),
        ({"images": np.ones((4, 3, 8, 8)) * 200}, "data.floats_beyond"),
        ({"images": np.random.default_rng(0).random((4, 3, 8, 8))}, "data.floats_from_0"),
        ({"images": np.zeros((4, 8, 8, 3), np.int64)}, "data.not_one_array"),
    ],
)
def test_arrays_that_are_not_pictures_are_refused(
    content: dict[str, Any], code: str, two: tuple[Path, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **content)
    with refused(code):
        score(tmp_path / "a.npz", two[1])


def test_a_pickle_in_an_array_is_never_executed(two: tuple[Path, Path], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "executed",)

    np.save(tmp_path / "trap.npy", np.array([Trap(), Trap()], dtype=object), allow_pickle=True)
    with refused("data.damaged_file"):
        score(tmp_path / "trap.npy", two[1])
    (tmp_path / "text.npz").write_text("no zip")
    with refused("data.damaged_file"):
        score(tmp_path / "text.npz", two[1])
    with refused("data.not_pictures_array"):
        score(np.zeros((3, 4)), two[1])
    assert not (tmp_path / "executed").exists()


# --- copies -----------------------------------------------------------------------------------------------------------


def test_copies_are_found_where_unseen_pictures_are_given() -> None:
    pictures = noise(300, (3, 16, 16))
    reals, unseen, others = pictures[:150], pictures[150:200], pictures[200:]
    honest = score(others, reals, unseen=unseen)
    assert honest["memorisation"]["verdict"] == "no sign" and "unseen" in honest
    copied = score(np.concatenate([others[:60], reals[:40]]), reals, unseen=unseen)
    assert copied["memorisation"]["verdict"] == "copying"
    assert any(name.startswith("memorisation") for name in copied["scores"])
    assert copied["warnings"]


def test_a_prepared_dataset_brings_its_unseen_pictures(data: Path, run: Path) -> None:
    record = score(run, data, samples=30)
    assert record["unseen"]["part"] == "valid" and record["unseen"]["pictures"] == 20
    assert record["reals"]["part"] == "train" and record["memorisation"]["verdict"] in ("no sign", "copying")
    assert record["fakes"]["kind"] == "model" and record["fakes"]["seeds"] == "1000000-1000029"
    part = score(run, f"{data}:valid", samples=30)
    assert part["reals"]["part"] == "valid" and part["n_real"] == 20 and "unseen" not in part


def test_peeps_is_the_model_as_fakes_and_the_dataset_as_reals() -> None:
    record = score("peeps", "peeps:valid", samples=8)
    assert (record["fakes"]["kind"], record["reals"]["kind"]) == ("model", "data set")


# --- files, command line ----------------------------------------------------------------------------------------------


def test_the_folder_holds_record_pairs_and_page(two: tuple[Path, Path], tmp_path: Path) -> None:
    record = score(*two, out=tmp_path / "out", html=tmp_path / "page.html")
    assert json.loads((tmp_path / "out" / "score.json").read_text()) == record
    with Image.open(tmp_path / "out" / "nearest.png") as pairs:
        assert pairs.width > 1000 and pairs.height == 256
    page = (tmp_path / "out" / "report.html").read_text()
    assert page == (tmp_path / "page.html").read_text()
    assert "<script" not in page and 'src="http' not in page and "a against b" in page
    assert str(two[0].parent) not in page, "no path of this machine"
    score(two[1], two[0], out=tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 6, "those of other sets are renamed"
    assert score(two[1], two[0], out=tmp_path / "out") and len(list((tmp_path / "out").iterdir())) == 6


def test_files_of_others_are_left_alone(two: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("score.json", "nearest.png", "report.html"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("{}")
        with refused("measure.not_a_score", path=folder / name):
            score(*two, out=folder)
    (tmp_path / "page.html").write_text("mine")
    with refused("report.out_is_other_file"):
        score(*two, html=tmp_path / "page.html")


def test_a_refused_score_leaves_nothing_behind(two: tuple[Path, Path], tmp_path: Path) -> None:
    with refused("data.no_source"):
        score(tmp_path / "nowhere", two[1], out=tmp_path / "out", html=tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_json_is_all_that_a_script_sees(run_cli: Cli, two: tuple[Path, Path]) -> None:
    status, out, _ = run_cli("score", *two, "--json")
    assert status == 0
    record = json.loads(out)
    assert record.keys() == {"leads", "scores"} and record["leads"] in record["scores"]
    assert {"value", "low", "high", "floor", "n", "n_real"} <= record["scores"][record["leads"]].keys()
    assert record["scores"] == score(*two)["scores"]


def test_both_judges_have_their_sentence(two: tuple[Path, Path]) -> None:
    record = score(*two)
    leads = record["leads"]
    name = next(name for name in record["scores"] if name != leads)
    record["second"], record["scores"][name] = name, record["scores"][leads]
    record["p"] = {leads: 0.3, name: 0.06}
    assert [verdict.code for verdict in set_verdicts(record)] == ["measure.set_alike"] * 2
    record["p"][name] = 0.01
    codes = [verdict.code for verdict in set_verdicts(record)]
    assert codes == ["measure.set_alike", "measure.set_apart", "measure.set_judges_differ"]


def test_the_table_says_what_it_means(run_cli: Cli, two: tuple[Path, Path], tmp_path: Path) -> None:
    status, out, _ = run_cli("score", *two)
    assert status == 0 and "a (40 of 40) against b (40 of 40), at 16x16" in out
    assert "no difference can be measured" in out and "--out" in out
    status, out, _ = run_cli("--lang", "zh", "score", *two, "--out", tmp_path / "out", "--html", tmp_path / "a.html")
    simulacra.messages.set_language(None)
    assert status == 0 and "中心裁剪" in out
    assert "最近的图片对" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["/nowhere", "peeps"], "/nowhere"),
        (["peeps", "/nowhere"], "/nowhere"),
        (["peeps", "peeps:tset"], "peeps:tset"),
        (["peeps", "peeps", "--unseen", "/nowhere"], "/nowhere"),
        (["peeps", "peeps", "--samples", "4"], "at least 5"),
        (["EMPTY", "peeps"], "is empty"),
        (["TEXT", "peeps"], "no pictures"),
        (["FILE", "peeps"], "not a folder"),
        (["peeps", "peeps", "--extractor", "efl1"], "extractor"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(
    run_cli: Cli, words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "TEXT").mkdir()
    (tmp_path / "TEXT" / "a.txt").touch()
    (tmp_path / "FILE").write_text("text")
    places = {name: str(tmp_path / name) for name in ("EMPTY", "TEXT", "FILE")}
    import sys

    monkeypatch.setattr(sys, "argv", [])
    status, out, err = run_cli("score", *(places.get(word, word) for word in words))
    assert status == 1 and not out and sentence in err and err.startswith("simulacra: ")


def test_a_translator_is_refused(tmp_path: Path, two: tuple[Path, Path]) -> None:
    from measuring import pair_folder, run_of

    pair = pair_folder(tmp_path / "pair", blobs(6), blobs(6, seed=1))
    translator = run_of(tmp_path / "run", pair, [(0.1, 0.2)])
    with refused("generator.model_translates"):
        score(translator, two[1])
    with refused("data.is_a_pair"):
        score(two[0], pair)

"""Pictures through a model that translates: names, modes, sizes, metadata, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from support import Cli, build, colour_profile, coloured, refused, seasons

import simulacra
from simulacra.data.items import FilePart, Item
from simulacra.errors import SimulacraError
from simulacra.provenance import read_provenance
from simulacra.settings import Shape
from simulacra.storage import save_model
from simulacra.translation import folder as folders
from simulacra.translation import translate, translate_image
from simulacra.translator import Side, Translator

SIDES: tuple[Side, ...] = get_args(Side)


def saved(folder: Path, shape: Shape = (3, 16, 16), **words: Any) -> Path:
    gan = build("cyclegan:tiny", shape, **words)
    gan.G.classes = ("summer", "winter")
    save_model(gan.G, folder, gan="cyclegan", config=gan.config, about={})
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "seasons")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- names ------------------------------------------------------------------------------------------------------


def test_a_folder_keeps_names_and_folders(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "deep" / "er").mkdir(parents=True)
    for name in ("one.jpg", "deep/two.png", "deep/er/three.bmp", "same.jpg", "same.png"):
        coloured().save(source / name)
    (source / "bad.png").write_text("no picture")
    (source / "notes.txt").write_text("no picture either")
    summary = translate(model, source, tmp_path / "out", "winter")
    assert (summary.to, summary.translated, summary.existing, summary.set_aside) == (
        "winter",
        5,
        0,
        (("bad.png", "not an image"),),
    )
    names = {"one.png", "deep/two.png", "deep/er/three.png", "same.jpg.png", "same.png.png"}
    assert files(tmp_path / "out").keys() == names
    assert {str(path.relative_to(tmp_path / "out")) for path in summary.paths} == names
    record = read_provenance(tmp_path / "out" / "deep" / "two.png") or {}
    assert (record["to"], record["source"]) == ("b", "deep/two.png") and len(record["model"]) == 16


def test_names_never_meet(tmp_path: Path) -> None:
    names = ["A.png", "a.jpg", "a.jpg.png", "b.cycle.jpg", "b.jpg", "a.png.bmp", "b.jpg.cycle.png"]
    items = [Item(name, FilePart(name)) for name in names]
    for cycle in (False, True):
        plans = list(folders.plan_translations(items, tmp_path, single=False, cycle=cycle))
        paths = [str(path).lower() for plan in plans for path in plan.paths]
        assert len(set(paths)) == len(paths) == len(names) * (1 + cycle)


def test_a_second_run_has_nothing_to_do(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(3):
        coloured(seed=i).save(source / f"{i}.png")
    translate(model, source, out, "b")
    before = files(out)
    with monkeypatch.context() as none:
        none.setattr(folders, "translate_pixels", None)
        summary = translate(model, source, out, "b")
    assert (summary.translated, summary.existing) == (0, 3) and files(out) == before
    (out / "1.png").unlink()
    assert translate(model, source, out, "b").translated == 1 and files(out) == before
    summary = translate(model, source, out, "b", cycle=True)
    assert summary.translated == 3 and len(files(out)) == 6 and before.items() <= files(out).items()


@pytest.mark.parametrize("change", ["to", "size", "content", "model", "stranger"])
def test_nothing_is_overwritten(model: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(2):
        coloured(seed=i).save(source / f"{i}.png")
    translate(model, source, out, "b")
    (out / "0.png").unlink()
    if change == "content":
        coloured(seed=9).save(source / "1.png")
    if change == "stranger":
        coloured().save(out / "1.png")
    if change == "model":
        gan = build("cyclegan:tiny", features=5)
        save_model(gan.G, tmp_path / "other", gan="cyclegan", config=gan.config, about={})
        model = tmp_path / "other"
    before = files(out)
    with pytest.raises(SimulacraError, match=r"1\.png exists and is another picture"):
        translate(model, source, out, "a" if change == "to" else "b", keep_size=change == "size")
    assert files(out) == before, "nothing is translated before"


def test_results_are_not_translated_again(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    coloured().save(source / "sub" / "x.jpg")
    inside = source / "out"
    assert translate(model, source, inside, "b").translated == 1
    assert (translate(model, source, inside, "b").existing, len(files(inside))) == (1, 1)
    with refused("translation.out_is_source"):
        translate(model, source, source, "b")
    around = tmp_path / "around"
    (around / "in" / "in").mkdir(parents=True)
    coloured().save(around / "in" / "in" / "x.jpg")
    with refused("translation.out_among_pictures"):
        translate(model, around / "in", around, "b")
    assert len(files(around)) == 1


def test_one_picture(model: Path, tmp_path: Path) -> None:
    coloured().save(tmp_path / "x.jpg")
    for out, name in ((tmp_path / "y.png", "y.png"), (tmp_path / "folder", "folder/x.png")):
        (path,) = translate(model, tmp_path / "x.jpg", out, "b").paths
        assert path == tmp_path / name and path.is_file()
    summary = translate(model, tmp_path / "x.jpg", tmp_path / "z.png", "b", cycle=True)
    assert [path.name for path in summary.paths] == ["z.png", "z.cycle.png"]
    with refused("translation.not_a_png", name="y.png"):
        translate(model, tmp_path / "x.jpg", tmp_path / "y.jpg", "b")


def test_what_comes_back(model: Path, tmp_path: Path) -> None:
    coloured(16, 16).save(tmp_path / "x.png")
    translated, back = translate(model, tmp_path / "x.png", tmp_path / "out", "b", cycle=True).paths
    translator = simulacra.load_translator(model)
    with Image.open(translated) as image, Image.open(back) as again:
        assert np.array_equal(np.asarray(again), np.asarray(translate_image(translator, image, "a")))


# --- modes, sizes, metadata ---------------------------------------------------------------------------------------

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "YCbCr"]


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 24), (4, 24, 16)], ids=["rgb", "grey", "rgba"])
@pytest.mark.parametrize("mode", MODES)
def test_any_mode_through_any_model(mode: str, shape: Shape) -> None:
    translator = seasons(shape)
    image = coloured(37, 21).convert("L" if mode in ("I;16", "F") else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if mode == "F":
        image = Image.fromarray(np.asarray(image).astype(np.float32) / 255)
    for side in SIDES:
        result = translate_image(translator, image, side)
        assert result.mode == {1: "L", 3: "RGB", 4: "RGBA"}[shape[0]] and result.size == (28, 16)
        assert translate_image(translator, image, side, keep_size=True).size == (37, 21)
    assert image.size == (37, 21), "the caller's picture is left as it was"


def test_transparency_is_laid_on_white(model: Path) -> None:
    translator = seasons()
    clear = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    white = Image.new("RGB", (16, 16), "white")
    assert translate_image(translator, clear, "b").tobytes() == translate_image(translator, white, "b").tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 3), (7, 5), (9, 8), (16, 16), (17, 31)])
def test_any_size(size: tuple[int, int]) -> None:
    translator = seasons()
    assert translate_image(translator, coloured(*size), "b", keep_size=True).size == size
    least = min(size)
    assert translate_image(translator, coloured(*size), "b").size == tuple(round(s * 16 / least) for s in size)


def test_too_long_and_thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulacra.translation.single.MAX_PIXELS", 5_000)
    with pytest.raises(SimulacraError, match="too long and thin to be enlarged"):
        translate_image(seasons(), coloured(100, 1), "b")
    assert translate_image(seasons(), coloured(100, 1), "b", keep_size=True).size == (100, 1)


def test_the_model_s_own_size_is_what_the_network_says() -> None:
    translator, image = seasons(), coloured(16, 16)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = translator.translate(x, "b")[0]
    assert np.array_equal(np.asarray(translate_image(translator, image, "winter")), simulacra_image(expected))


def simulacra_image(picture: torch.Tensor) -> Any:
    from simulacra.generator import to_image

    return np.asarray(to_image(picture))


def profile(space: bytes) -> bytes:
    return b"\0" * 12 + b"mntr" + space + b"XYZ " + b"\0" * 104


def test_metadata_goes_along(model: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769).update({0xA002: 24, 0xA003: 20, 0x9003: "2020:01:02 03:04:05"})
    exif.get_ifd(0x8825)[1] = "N"
    coloured(24, 20).save(tmp_path / "x.jpg", exif=exif, icc_profile=profile(b"RGB "), comment=b"hello")
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Größe")
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    text.add_text("simulacra", json.dumps({"seed": 3}))
    coloured(24, 20).save(tmp_path / "y.png", pnginfo=text, icc_profile=profile(b"GRAY"))
    coloured(24, 20).save(tmp_path / "z.png", icc_profile=colour_profile())
    summary = translate(model, tmp_path, tmp_path / "out", "b", keep_size=True)
    with Image.open(summary.paths[2]) as image:
        assert "icc_profile" not in image.info, "the model's pictures are in sRGB"
    with Image.open(summary.paths[0]) as image:
        exif_read = image.getexif()
        assert image.size == (20, 24), "turned upright"
        assert exif_read.get(0x0112, 1) == 1 and exif_read[0x010F] == "Maker"
        camera = exif_read.get_ifd(0x8769)
        assert (camera[0xA002], camera[0xA003], camera[0x9003]) == (20, 24, "2020:01:02 03:04:05")
        assert exif_read.get_ifd(0x8825)[1] == "N" and image.info["icc_profile"] == profile(b"RGB ")
        assert image.info["Comment"] == "hello"
    with Image.open(summary.paths[1]) as image:
        assert image.info["Title"] == "Größe" and "icc_profile" not in image.info
        assert image.size == (20, 24) and image.getexif().get(0x0112, 1) == 1
    assert (read_provenance(summary.paths[1]) or {})["source"] == "y.png"


def test_damaged_metadata_is_left_out(model: Path, tmp_path: Path) -> None:
    coloured().save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0garbage")
    summary = translate(model, tmp_path / "x.jpg", tmp_path / "out", "b")
    assert summary.translated == 1
    with Image.open(summary.paths[0]) as image:
        assert not image.getexif()


def test_a_tiff_s_storage_is_not_kept(model: Path, tmp_path: Path) -> None:
    coloured().save(tmp_path / "x.tif", description="a hill", compression="tiff_lzw")
    with Image.open(translate(model, tmp_path / "x.tif", tmp_path / "out", "b").paths[0]) as image:
        assert dict(image.getexif()) == {0x010E: "a hill"}


def test_what_is_too_large_for_the_memory_is_set_aside(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")

    coloured().save(tmp_path / "x.png")
    monkeypatch.setattr("simulacra.translation.single.translate_tiled", full)
    summary = translate(model, tmp_path / "x.png", tmp_path / "out", "b")
    assert summary.set_aside == (("x.png", "too large for the memory"),) and not summary.paths


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command(run_cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(3):
        coloured(seed=i).save(f"in/{i}.png")
    Path("in/bad.jpg").write_bytes(b"\xff\xd8\xffbad")
    Path("alone").mkdir()
    Path("alone/bad.jpg").write_bytes(b"")
    status, out, err = run_cli("translate", model, "in", "out", "--to", "Winter", "--device", "cpu")
    assert (
        status == 0
        and "3 pictures translated to winter: out" in out
        and "1 picture was set aside" in out
        and "bad.jpg: damaged" in err
    )
    Path("out/0.png").unlink()
    status, out, _ = run_cli("translate", model, "in", "out", "--to", "b")
    assert status == 0 and "1 picture translated to winter: out" in out and "2 pictures were translated before" in out
    status, _, err = run_cli("translate", model, "alone", "out", "--to", "a")
    assert status == 1 and "bad.jpg: empty file" in err and "Nothing was translated" in err
    for words, message in (
        ((model, "in", "new"), "to a (summer) and to b (winter): say --to a or --to b"),
        ((model, "in", "new", "--to", "wintre"), "Did you mean 'winter'?"),
        (("peeps", "in", "new", "--to", "b"), "peeps draws pictures and translates none"),
        ((model, "nowhere", "new", "--to", "b"), "does not exist"),
        ((model, "in", "in/0.png", "--to", "b"), "is a file"),
    ):
        status, _, err = run_cli("translate", *words)
        assert status == 1 and message in err and err.startswith("simulacra: ")
    assert not Path("new").exists()


def test_a_model_for_one_size_alone_says_so(run_cli: Cli, model: Path, tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", network="unet")
    coloured().save(tmp_path / "0.png")
    for i, (which, words, warns) in enumerate(
        [(whole, ["--keep-size"], True), (whole, [], False), (model, ["--keep-size"], False)]
    ):
        status, _, err = run_cli("translate", which, tmp_path / "0.png", tmp_path / f"out{i}", "--to", "b", *words)
        assert status == 0 and ("pictures of 16x16 as a whole" in err) == warns


def test_stopped_by_the_user(run_cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(4):
        coloured(seed=i).save(f"in/{i}.png")
    save, count = Image.Image.save, iter(range(9))

    def stopped(image: Image.Image, file: Any, *words: Any, **options: Any) -> None:
        save(image, file, *words, **options)
        if next(count) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "save", stopped)
        status, _, err = run_cli("translate", model, "in", "out", "--to", "b")
    assert status == 130 and "the same command resumes" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png", "1.png"]
    _, out, _ = run_cli("translate", model, "in", "out", "--to", "b")
    assert "2 pictures translated to winter" in out and "2 pictures were translated before" in out


def test_other_commands_say_what_it_is_for(
    run_cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    coloured().save("x.png")
    for words in (
        ("sample", model, "new"), ("sample", model, "new", "--label", "1"), ("mix", model, "new.png"),
        ("walk", model, "new.webp"), ("walk", model, "new.webp", "--space", "w"), ("directions", model),
        ("project", "x.png", model, "--out", "new"), ("project", "x.png", model, "--out", "new", "--encoder"),
    ):  # fmt: skip
        status, _, err = run_cli(*words)
        assert status == 1 and "between summer and winter" in err and "simulacra translate MODEL IN OUT" in err, words
    status, _, err = run_cli("export", model, "new.onnx")
    assert status == 1 and "say --to a or --to b" in err
    status, _, err = run_cli("export", "peeps", "new.onnx", "--to", "b")
    assert status == 1 and "leave --to out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(("shape", "side"), [((3, 16, 16), "b"), ((1, 24, 16), "a")])
def test_exports_to_onnx_and_agrees(shape: Shape, side: Side, tmp_path: Path, run_cli: Cli) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'simulacra[onnx]'")
    pytest.importorskip("onnxscript", reason="needs the extra: pip install 'simulacra[onnx]'")
    translator = simulacra.load(saved(tmp_path / "model", shape))
    assert isinstance(translator, Translator)
    path = tmp_path / f"{side}.onnx"
    status, out, err = run_cli("export", tmp_path / "model", path, "--to", side)
    assert status == 0 and err == "" and "4·h, 4·w" in out
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert (
        metadata.items() >= {"gan": "cyclegan", "task": "translate", "to": translator.domains["ab".index(side)]}.items()
    )
    for size in ((1, shape[0], 16, 16), (3, shape[0], 32, 20), (2, shape[0], 8, 64)):
        images = torch.rand(size) * 2 - 1
        (translated,) = session.run(["translated"], {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(translated), translator.translate(images, side), rtol=0, atol=1e-5)


def test_what_python_offers() -> None:
    assert simulacra.translate is translate and simulacra.translate_image is translate_image
    with pytest.raises(SimulacraError, match="its numbers are not brightnesses"):
        translate_image(seasons(), Image.fromarray(np.full((2, 2), -1.0, np.float32)), "b")

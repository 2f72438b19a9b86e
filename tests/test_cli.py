"""The command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from measuring import stand_in
from PIL import Image
from support import Cli, noise, on_disk

from simulacra import cli, messages
from simulacra.cli.language import commands, parameters

# Frozen: whoever changes a command or an option changes a promise, and should have to say so here.
COMMANDS = {
    "check-gan": "gan only threads",
    "choose": "run samples on data device threads",
    "compare": "a b samples on data out device threads",
    "curves": "run",
    "demo": "run",
    "directions": "model labels data count orthogonal samples rename sheet seed out device threads",
    "doctor": "run",
    "evaluate": "model on data samples metrics first_seed extractor weights sha256 out device threads",
    "explore": "model port host open osc osc_to",
    "export": "model out to size format nearest",
    "fork": "run words at augment total minutes device threads",
    "inspect": "source json",
    "lab": "target settings gan out plays minutes seed page port open",
    "join": "out shards",
    "list": "gan",
    "new-gan": "name out",
    "mix": "model out rows columns way layers label truncation device",
    "plan": "data out minutes total seeds gan samples device threads json dry_run",
    "prepare": "source out pair size crop channels background per_folder limit labels split seed resample min_side "
    "max_megapixels drop_duplicates keep_originals workers shard zip",
    "publish": "model to license out space dry_run with_discriminator anyway",
    "project": "photo model out steps starts seed label wide encoder minutes film device threads",
    "report": "run out",
    "runs": "folder json",
    "sample": "model out seeds count label by_label per_class grid each zip npz labels truncation layer_truncation noise_seed "
    "min_latent size recipe precision device threads",
    "score": "fakes reals unseen samples extractor weights sha256 out html json device threads",
    "studio": "folder port host open",
    "train": "data words gan run from freeze total epochs minutes balance augment precision seed compile micro every save_every "
    "measure_every patience rollback disk device threads observe quiet dry_run size settings",
    "translate": "model source out to keep_size cycle device threads",
    "upscale": "run factor data minutes total seed device threads",
    "walk": "model out seeds seconds fps loop space easing even label truncation size device",
    "worth": "model on data unseen label of ratio seeds flips json out device threads",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small photos in two folders, and one that is none."""
    root = tmp_path_factory.mktemp("photos")
    source = np.random.default_rng(0)
    for i in range(40):
        folder = root / ("ann" if i % 2 else "bob")
        folder.mkdir(exist_ok=True)
        pixels = np.kron(source.integers(0, 255, (4, 4, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (root / "ann" / "broken.png").write_text("not a picture")
    return root


@pytest.fixture(scope="module")
def faces(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos prepared at 16 px."""
    from simulacra.data.prepare import prepare

    out = tmp_path_factory.mktemp("data") / "faces"
    prepare(photos, out, size=(16, 16), workers=1)
    return out


def test_commands_and_options_are_frozen() -> None:
    assert {name: " ".join(parameters(sub)) for name, sub in commands(cli.app)} == COMMANDS


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; sys.argv = ['simulacra', '--help']\n"
        "from simulacra import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "prepare" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run_cli: Cli, name: str) -> None:
    status, out, _ = run_cli(name, "--help")
    assert status == 0
    assert "Usage" in out
    assert all(option.replace("_", "-") in out.lower() for option in COMMANDS[name].split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["inspect", "/nowhere/at/all"], "/nowhere/at/all"),
        (["prepare", "/nowhere", "x"], "/nowhere"),
        (["prepare", "peeps", "x", "--size", "banana"], "banana"),
        (["prepare", "peeps", "x", "--crop", "7"], "--crop 7"),
        (["train", "/nowhere"], "simulacra prepare"),
        (["train", "peep"], "Did you mean 'peeps'?"),
        (["sample", "peep"], "Did you mean 'peeps'?"),
        (["prepare", "peeps", "x", "--labels", "hat"], "It has: glasses, "),
        (["prepare", "peeps", "x", "--workers", "0"], "--workers is 0"),
        (["export", "peeps", "x.txt"], "x.onnx"),
        (["lab", "digits", "--gan", "mpl"], "Did you mean 'mlp'?"),
        (["train", "peeps", "--gan", "dcgam"], "Did you mean 'dcgan'?"),
        (["train", "peeps", "--gan", "dcgan:celeb64"], "celeba64"),
        (["train", "peeps", "--gan", "dcgan:faces80"], "--size 80"),
        (["train", "peeps", "--gan", "wgan-gp", "gpp=1"], "Did you mean 'gp'?"),
        (["train", "peeps", "lr=fast"], "must be a number"),
        (["train", "peeps", "--lr", "fast"], "must be a number"),
        (["train", "peeps", "--size", "3"], "'size'"),
        (["train", "peeps", "--lr", "1e-3", "lr=1e-4"], "'lr' is given twice"),
        (["train", "peeps", "batch=0"], "at least 1"),
        (["train", "peeps", "lr"], "key=value"),
        (["train", "peeps", "--total", "lots"], "200k"),
        (["train", "peeps", "--total", "5", "--epochs", "3"], "one length"),
        (["train", "peeps", "--minutes", "-1"], "positive"),
        (["train", "peeps", "--balance", "fair"], "fixed:5"),
        (["train", "peeps", "--augment", "ada", "augment_kinds=warp"], "blit, geometric"),
        (["train", "peeps", "--gan", "wgan", "smoothing=0.1"], "critic"),
        (["train", "peeps", "--gan", "wgan-gp", "norm_d=batch"], "batch norm"),
        (["train", "peeps", "--threads", "0"], "--threads"),
        (["sample", "/nowhere"], "/nowhere"),
        (["sample", "--seeds", "9-1"], "0-99"),
        (["sample", "--no-each"], "--grid"),
        (["sample", "--count", "0"], "above 0"),
        (["sample", "--count", "5", "--seeds", "1"], "no --seeds"),
        (["sample", "--per-class"], "--zip or --npz"),
        (["sample", "--zip", "a.zip", "--grid"], "leave out"),
        (["sample", "--zip", "a.rar"], ".npz"),
        (["sample", "--zip", "a.zip", "--per-class"], "no classes"),
        (["sample", "--npz", "a.npz", "--labels", "l.csv"], "without labels"),
        (["sample", "--label", "Sneaker"], "conditional=true"),
        (["sample", "--by-label"], "without labels"),
        (["sample", "--min-latent", "-1"], "negative"),
        (["sample", "--recipe", "/nowhere.json"], "/nowhere.json"),
        (["mix", "/nowhere", "a.png"], "/nowhere"),
        (["mix", "peeps", "a.png", "--layers", "0-3"], "no layers"),
        (["mix", "peeps", "a.png", "--layers", "three"], "such as 0-3"),
        (["mix", "peeps", "a.png", "--rows", "9-1"], "0-99"),
        (["mix", "peeps", "a.png", "--label", "cat"], "conditional=true"),
        (["walk", "/nowhere", "a.webp"], "/nowhere"),
        (["walk", "peeps", "a.avi"], ".webp"),
        (["walk", "peeps", "a.webp", "--seeds", "3"], "at least two"),
        (["walk", "peeps", "a.webp", "--seconds", "-1"], "seconds"),
        (["walk", "peeps", "a.webp", "--fps", "nan"], "a second"),
        (["project", "/nowhere.jpg", "peeps"], "/nowhere.jpg"),
        (["project", "/nowhere.jpg", "/nowhere"], "/nowhere"),
        (["project", "/", "peeps", "--out", "a"], "folder"),
        (["project", "/nowhere.jpg", "peeps", "--encoder"], "/nowhere.jpg"),
        (["curves", "/nowhere"], "/nowhere"),
        (["train", "peeps", "--patience", "-1"], "--patience"),
        (["evaluate", "/nowhere"], "/nowhere"),
        (["evaluate", "--metrics", "fid"], "Did you mean 'fd'"),
        (["evaluate", "--samples", "1"], "at least 2"),
        (["evaluate", "--samples", "2", "--metrics", "within"], "Leave within out"),
        (["evaluate", "--extractor", "inception"], "weight file"),
        (["evaluate", "--data", "/nowhere"], "/nowhere"),
        (["evaluate", "--threads", "0"], "--threads"),
        (["choose", "/nowhere"], "/nowhere"),
        (["compare", "peeps", "/nowhere"], "/nowhere"),
        (["report", "/nowhere"], "/nowhere"),
        (["lab", "rign"], "Did you mean 'ring'?"),
        (["lab", "ring", "--plays", "0"], "plays"),
        (["lab", "ring", "lr"], "key=value"),
        (["lab", "bimodal", "--gan", "mlp"], "trains no GAN"),
        (["list", "stylegan9"], "no GAN"),
        (["runs", "/nowhere"], "/nowhere"),
        (["fork", "/nowhere"], "/nowhere"),
        (["fork", "/nowhere", "a", "b"], "one name"),
    ],
)
def test_bad_input_is_one_sentence(
    run_cli: Cli, words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run_cli(*words)
    assert status == 1
    assert sentence in err
    assert err.startswith("simulacra: ")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


@pytest.mark.parametrize(
    "words", [["train"], ["prepare"], ["sample", "--width", "3"], ["fly"], ["walk", "peeps", "a.gif", "--fps"]]
)
def test_wrong_words_are_refused(run_cli: Cli, words: list[str]) -> None:
    status, out, err = run_cli(*words)
    assert status == 2 and not out
    assert err.startswith("simulacra: ") and "Traceback" not in err
    assert (
        "simulacra --help" in err if words == ["fly"] else f"Usage: simulacra {words[0]} " in err and "Example: " in err
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["report", "a", "--out", "b"], "as argument 2: simulacra report RUN [OUT] [OPTIONS]"),
        (["demo", "--run", "b"], "as argument 1: simulacra demo [RUN] [OPTIONS]"),
        (["lab", "ring", "--lr", "1e-3"], "Settings are words here"),
        (["lab", "ring", "--plays", "2.5"], "--plays is '2.5'; it must be a whole number."),
        (["train", "peeps", "--threads", "1.5"], "--threads is '1.5'; it must be a whole number."),
        (["prepare", "peeps", "x", "--split", "1", "2"], "--split takes 3 values"),
        (["prepare", "peeps", "x", "--channels"], "one of auto, grey, rgb, rgba"),
        (["train", "peeps", "--gan"], "--gan needs a value after it."),
    ],
)
def test_wrong_options_get_what_to_type_instead(run_cli: Cli, words: list[str], expected: str) -> None:
    status, out, err = run_cli(*words)
    assert status == 2 and not out
    assert expected in err.splitlines()[0]


def test_no_english_in_the_chinese_help_overview(run_cli: Cli) -> None:
    """A command's line in the overview is its first sentence, so each page's text has its details in a paragraph."""
    status, out, _ = run_cli("--lang", "zh")
    messages.set_language(None)
    assert status == 0 and "翻译成另一个域" in out and "EXIF" not in out


def test_ctrl_c_is_one_sentence_and_130(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simulacra.catalogue.list_gans", interrupted)
    status, out, err = run_cli("list")
    assert (status, out, err.strip()) == (130, "", "simulacra: stopped.")


def test_the_whole_way(run_cli: Cli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = run_cli("inspect", photos)
    assert status == 0
    assert "40" in out

    words = ["prepare", photos, "faces", "--size", "16", "--per-folder", "15", "--zip", "faces.zip"]
    assert run_cli(*words)[0] == 0
    assert {"sheet.png", "images.npy", "data.json"} <= {path.name for path in Path("faces").iterdir()}

    train = ["train", "faces", "--gan", "dcgan:tiny", "--run", "runs/a", "--total", "200", "--every", "40"]
    train += ["--save-every", "120"]
    status, out, _ = run_cli(*train, "--dry-run")
    assert status == 0
    assert "200 images" in out
    assert not Path("runs").exists()

    status, out, err = run_cli(*train)
    assert status == 0, err
    run = Path("runs/a")
    for name in ("config.json", "journal.jsonl", "previews/real.png", "curves.png", "curves.svg", "film.webp"):
        assert (run / name).stat().st_size > 100, name
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert [line["nimg"] for line in lines] == [40, 80, 120, 160, 200]
    keys = {
        "d_loss",
        "g_loss",
        "D(x)",
        "D(G(z)) before",
        "D(G(z)) after",
        "acc_d",
        "acc_g",
        "images_per_second",
        "memory_mib",
    }
    assert keys <= lines[-1].keys()
    with Image.open(run / "film.webp") as film:
        assert 2 <= getattr(film, "n_frames", 1) <= 5  # equal neighbours are merged

    status, out, _ = run_cli(*train)
    assert status == 0
    assert "already" in out
    status, _, err = run_cli("train", run, "lr=1")
    assert status == 1
    assert "lr is 0.0002 there and 1.0 here" in err
    with monkeypatch.context() as scoring:  # the default 1,000 fakes; the real extractor comes below
        scoring.setattr("simulacra.training.scoring.open_extractor", stand_in)
        assert run_cli("train", run, "--total", "240", "--measure-every", "120")[0] == 0
    assert (run / "scores.jsonl").stat().st_size

    status, out, err = run_cli("choose", run, "--samples", "6")
    assert status == 0, err
    assert "Best:" in out
    status, out, err = run_cli("evaluate", run, "--samples", "8", "--metrics", "fd,kid,swd,grain,memorisation")
    assert status == 0, err
    assert "kid-efl0d-1280" in out
    assert "fd-efl0d-112" in out
    assert "swd-pyramid" in out and "grain-efl0-112" in out
    status, out, err = run_cli("compare", run / "checkpoints" / "000000200", run, "--samples", "6")
    assert status == 0, err
    assert "cannot tell" in out
    assert run_cli("report", run)[0] == 0
    assert (run / "report.html").stat().st_size < 5e6

    assert (
        run_cli("sample", run, "out", "--seeds", "0-8", "--grid", "--truncation", "0.8", "--min-latent", "0.1")[0] == 0
    )
    assert len(list(Path("out").glob("seed*.png"))) == 9
    with Image.open("out/grid.png") as grid:
        assert grid.size == (48, 48)
    status, _, err = run_cli("sample", run, "out", "--seeds", "0-8")
    assert status == 1
    assert "another picture" in err


def test_a_run_by_minutes_ticks_by_seconds_unless_told_otherwise(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    on_disk(Path("shapes"), noise())
    words = ("train", "shapes", "--gan", "mlp:tiny", "--dry-run")
    for more, rhythm in (
        (["--minutes", "2"], "every 40 images or 15 s,"),
        (["--minutes", "100"], "every 40 images or 60 s,"),
        (["--minutes", "100", "--every", "8"], "every 8 images,"),
        (["--total", "4000"], "every 40 images,"),
    ):
        assert rhythm in run_cli(*words, *more)[1]
    assert run_cli("train", "shapes", "--gan", "mlp:tiny", "--minutes", "0.001", "--run", "a")[0] == 0
    assert "or 60 s," in run_cli("train", "a", "--minutes", "100", "--dry-run")[1], "a longer run, a slower rhythm"


def test_a_conditional_run_s_commands(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("simulacra.publish.onnx.export", lambda generator, out, **_: out)
    images = noise()
    on_disk(Path("shapes"), images, np.arange(len(images)) % 3)
    words = ("--gan", "dcgan:tiny", "conditional=true", "--run", "a", "--total", "40")
    assert run_cli("train", "shapes", *words)[0] == 0
    status, out, _ = run_cli("sample", "a", "rows", "--seeds", "0-4", "--by-label", "--no-each")
    assert status == 0 and "15 pictures: rows" in out
    status, out, _ = run_cli("sample", "a", "ones", "--seeds", "0-4", "--label", "1")
    assert status == 0 and "5 pictures of 1: ones" in out
    assert "y [N, 3] classes, one-hot" in run_cli("export", "a", "a.onnx")[1]


def test_mixing_walking_and_projecting(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    on_disk(Path("shapes"), noise())
    assert run_cli("train", "shapes", "--gan", "mlp:tiny", "--run", "a", "--total", "32")[0] == 0
    status, out, err = run_cli("mix", "a", "mix.png", "--rows", "1-2", "--columns", "3,4,5")
    assert status == 0 and "mix.png" in out, err
    with Image.open("mix.png") as image:
        assert image.size == (64, 48)
    status, out, err = run_cli("walk", "a", "walk.webp", "--seconds", "0.4", "--seeds", "1,2", "--no-loop")
    assert status == 0 and "10 pictures: walk.webp" in out, err
    Image.fromarray(noise(1, (3, 40, 30))[0]).save("photo.png")
    status, out, err = run_cli("project", "photo.png", "a", "--steps", "3", "--encoder", "--minutes", "0.001")
    assert status == 0 and "photo-projected: PSNR" in out, err
    status, out, err = run_cli("sample", "a", "again", "--recipe", "photo-projected/result.png")
    assert status == 0 and "again/result.png" in out, err
    with Image.open("again/result.png") as one, Image.open("photo-projected/result.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert next(Path("a").rglob("encoder.safetensors")).stat().st_size > 0
    status, _, err = run_cli("project", "photo.png", "a", "--steps", "3")
    assert status == 1 and "exists already" in err


def test_list_names_every_gan(run_cli: Cli) -> None:
    from simulacra.registry import gans

    status, out, _ = run_cli("list")
    assert status == 0
    for name, gan in gans().items():
        assert name in out
        assert str(gan.year) in out
        status, details, _ = run_cli("list", name)
        assert status == 0 and ":tiny" not in out + details, "what tests use is not offered"


def test_doctor_names_what_is_missing(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulacra import doctor

    monkeypatch.setitem(doctor.EXTRAS, "moon", ("go to the moon", ("no_such_rocket",)))
    status, out, _ = run_cli("doctor")
    assert status == 0
    assert "torch" in out
    assert "pip install 'simulacra[moon]'" in out


def test_a_missing_data_set_stops_a_resume_with_a_sentence(run_cli: Cli, faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert run_cli("train", faces, "--gan", "mlp:tiny", "--run", run, "--total", "64")[0] == 0
    moved = faces.rename(faces.with_name("moved"))
    try:
        status, _, err = run_cli("train", run, "--total", "128")
    finally:
        moved.rename(faces)
    assert status == 1
    assert str(faces) in err
    assert run_cli("train", run, "--total", "128")[0] == 0


def test_four_lines_of_python(photos: Path, tmp_path: Path) -> None:
    import simulacra

    simulacra.prepare(photos, tmp_path / "faces", size=16)
    run = simulacra.train(tmp_path / "faces", gan="dcgan:tiny", run=tmp_path / "run", total=32, quiet=True)
    pictures = simulacra.load_generator(run).sample(range(3))
    assert [picture.size for picture in pictures] == [(16, 16)] * 3
    with pytest.raises(simulacra.SimulacraError, match="Did you mean 'limit'"):
        simulacra.prepare(photos, tmp_path / "other", limits=3)  # type: ignore[call-overload]


def test_sample_without_arguments_draws_with_the_bundled_model(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulacra.storage import model_folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "peeps").mkdir()  # the name always means the built-in one
    status, _, err = run_cli("sample")
    assert status == 0, err
    pictures = [np.asarray(Image.open(path)) for path in sorted(Path("samples").glob("*.png"))]
    assert len(pictures) == 16
    assert {picture.shape for picture in pictures} == {(64, 64, 3)}
    assert np.stack(pictures).std(axis=0).mean() > 20, "sixteen different people"
    assert run_cli("sample", "peeps")[0] == 0
    assert sum(file.stat().st_size for file in model_folder().iterdir()) < 15e6


def test_a_recipe_is_drawn_in_bf16_and_takes_no_option_that_it_says_itself(run_cli: Cli, tmp_path: Path) -> None:
    from simulacra.provenance import read_provenance

    recipe, pictures = tmp_path / "face.json", []
    recipe.write_text('{"seed": 7}')
    for precision in ("fp32", "bf16"):
        status, out, err = run_cli(
            "sample", "peeps", str(tmp_path / precision), "--recipe", str(recipe), "--precision", precision
        )
        assert status == 0, err
        picture = Path(out.strip().replace("\n", ""))
        record = read_provenance(picture)
        assert record is not None and record.get("bf16", False) is (precision == "bf16")
        pictures.append(np.asarray(Image.open(picture)).astype(int))
    assert 0 < np.abs(pictures[0] - pictures[1]).max() < 40
    status, _, err = run_cli("sample", "peeps", str(tmp_path), "--recipe", str(recipe), "--count", "3", "--grid")
    assert status == 1 and "leave out --count, --grid" in err

"""Runs that start from a pretrained model: what they take over, what stays fixed, and how they resume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import LABELS, Cli, build, differences, forms, noise, on_disk, refused, snapshot, state, translating

from simulacra.files import read_json, write_json
from simulacra.gan import GAN, REGISTERED
from simulacra.storage import checkpoints, load, save_model
from simulacra.training import pretrained as pretrained_
from simulacra.training.options import TrainOptions, train
from simulacra.training.plan import plan
from simulacra.training.pretrained import open_pretrained
from simulacra.training.run import Run, make_trainer
from simulacra.training.transfer import Transfer

OPTIONS: dict[str, Any] = {"every": 16, "save_every": 32, "quiet": True, "device": "cpu", "precision": "fp32"}


def stored(gan: GAN, folder: Path, *, D: bool = True) -> Path:
    """A GAN's networks as a model folder."""
    save_model(gan.G, folder, gan=gan.name, config=gan.config, about={"nimg": 7}, D=gan.D if D else None)
    return folder


def start_from(source: GAN, target: GAN, folder: Path) -> dict[str, Transfer]:
    """`target` started from the stored `source`."""
    return open_pretrained(stored(source, folder)).start(target)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return on_disk(tmp_path_factory.mktemp("data") / "tiny", noise(24))


@pytest.fixture(scope="module")
def source(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of DCGAN of two checkpoints; tests only read it."""
    run = tmp_path_factory.mktemp("source") / "source"
    return train(data, gan="dcgan:tiny", run=run, total=64, settings={"norm_d": "none"}, **OPTIONS)


# --- tensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", forms() + translating())
def test_equal_networks_take_over_everything(spec: str, tmp_path: Path) -> None:
    source, target = build(spec), build(spec)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(1)
    for player, part in start_from(source, target, tmp_path / "model").items():
        mine, theirs = snapshot(getattr(target, player)), snapshot(getattr(source, player))
        assert part.tensors == part.total and not differences(mine, theirs)
        assert {id(p) for p in part.lower} <= {id(p) for p in getattr(target, player).parameters()}


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 24)])
@pytest.mark.parametrize("spec", forms())
def test_other_sides_and_channels_take_over_what_they_can(
    spec: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    for number, (one, other) in enumerate((((3, 16, 16), shape), (shape, (3, 16, 16)))):
        for part in start_from(build(spec, one), build(spec, other), tmp_path / str(number)).values():
            assert 0.3 * part.total < part.tensors <= part.total


def test_layers_are_counted_from_the_picture(tmp_path: Path) -> None:
    small, large = build("dcgan:tiny"), build("dcgan:tiny", (3, 32, 32))
    transfers = start_from(small, large, tmp_path / "model")
    assert torch.equal(large.G.layers[-2].weight, small.G.layers[-2].weight)
    assert torch.equal(large.D.layers[0].weight, small.D.layers[0].weight)  # type: ignore[index,union-attr]
    assert transfers["D"].lower[0] is large.D.layers[0].weight  # type: ignore[index,union-attr]
    assert not any(p is large.D.layers[-1].weight for p in transfers["D"].lower)  # type: ignore[index,union-attr]


def test_grey_pictures_look_to_d_as_they_did(tmp_path: Path) -> None:
    colour, grey = (build("dcgan:tiny", (channels, 16, 16), output="linear", norm_d="none") for channels in (3, 1))
    assert not start_from(colour, grey, tmp_path / "model")["D"].lower, "what changes is not fixed"
    images, z = torch.randn(4, 1, 16, 16), torch.randn(4, 8)
    torch.testing.assert_close(grey.D(images), colour.D(images.expand(-1, 3, -1, -1)))
    torch.testing.assert_close(grey.G(z), colour.G(z).mean(1, keepdim=True))
    back = build("dcgan:tiny", output="linear", norm_d="none")
    start_from(grey, back, tmp_path / "grey")
    torch.testing.assert_close(back.D(images.expand(-1, 3, -1, -1)), grey.D(images))
    torch.testing.assert_close(back.G(z), grey.G(z).expand(-1, 3, -1, -1))


@pytest.mark.parametrize(("spec", "modulation"), [("dcgan:tiny", False), ("wgan-gp:tiny", False), ("dcgan:tiny", True)])
def test_every_label_starts_as_the_pictures_without_labels(spec: str, modulation: bool, tmp_path: Path) -> None:
    plain, labelled = build(spec, modulation=modulation), build(spec + LABELS, modulation=modulation)
    with torch.no_grad():
        for norm in (module for module in plain.G.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            if norm.affine:
                norm.weight.uniform_(0.5, 2)
                norm.bias.uniform_(-1, 1)
    start_from(plain, labelled, tmp_path / "model")
    z, y, images = torch.randn(6, 8), torch.eye(3).repeat(2, 1), torch.randn(6, 3, 16, 16)
    torch.testing.assert_close(labelled.G(z, y), plain.G(z))
    torch.testing.assert_close(labelled.D(images, y), plain.D(images))
    back = build(spec, modulation=modulation)
    start_from(labelled, back, tmp_path / "labelled")
    torch.testing.assert_close(back.G(z), plain.G(z))


# --- runs -------------------------------------------------------------------------------------------------------


def test_checkpoints_hold_d_which_generators_never_need(source: Path, tmp_path: Path) -> None:
    for path in checkpoints(source):
        D = {name.removeprefix("D."): value for name, value in state(source)["gan"].items() if name.startswith("D.")}
        assert load_file(path / "D.safetensors").keys() == D.keys()
    assert not differences(load_file(checkpoints(source)[-1] / "D.safetensors"), D)
    shutil.copytree(source, tmp_path / "run")
    for path in (tmp_path / "run").rglob("D.safetensors"):
        path.unlink()
    load(tmp_path / "run")
    old = open_pretrained(tmp_path / "run").networks  # runs of 0.1 have D in the training state
    assert not differences(snapshot(old["D"]), D)


def test_resuming_is_exact_and_needs_no_source(data: Path, source: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(source, tmp_path / "copy")
    options: dict[str, Any] = {"freeze": 72, "pretrained": copy, **OPTIONS}
    whole = train(data, run=tmp_path / "whole", total=128, **options)
    halves = train(data, run=tmp_path / "halves", total=64, **options)
    shutil.rmtree(copy)
    train(data, run=halves, total=128, **options)
    assert not differences(state(whole), state(halves))
    record = read_json(whole / "config.json")["pretrained"]
    assert (record["source"], record["nimg"]) == (str(copy), 64)
    about = read_json(checkpoints(whole)[-1] / "config.json")["pretrained"]
    assert (about["source"], about["hash"]) == ("copy", record["hash"])
    assert read_json(whole / "config.json")["config"]["norm_d"] == "none", "its networks' settings"


def test_lower_layers_of_d_stay_fixed_for_so_many_images(data: Path, source: Path, tmp_path: Path) -> None:
    run = train(data, pretrained=source, freeze=40, run=tmp_path / "run", total=96, **OPTIONS)
    before, *later = (load_file(path / "D.safetensors") for path in (checkpoints(source)[-1], *checkpoints(run)))
    fixed = [[name for name in before if torch.equal(before[name], weights[name])] for weights in later]
    assert fixed[0] == ["layers.0.bias", "layers.0.weight"] and not any(fixed[1:])
    free = train(data, pretrained=source, freeze=0, run=tmp_path / "free", total=32, **OPTIONS)
    assert not any(torch.equal(before[name], value) for name, value in state_of_d(free).items())


def state_of_d(run: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(run)[-1] / "D.safetensors")


def floats(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without counters."""
    return {name: value for name, value in tensors.items() if value.is_floating_point()}


def test_g_and_its_average_start_from_the_average(data: Path, source: Path, tmp_path: Path) -> None:
    run = Run(plan(data, TrainOptions(pretrained=source, run=tmp_path / "run", device="cpu")), torch.device("cpu"))
    average = floats(load_file(checkpoints(source)[-1] / "G.safetensors"))
    for network in (run.trainer.gan.G, run.trainer.ema.average):
        assert not differences(floats(snapshot(network)), average)
    run.prepare_folder()
    again, _ = make_trainer(run.plan, torch.device("cpu"))
    assert not differences(snapshot(again.gan), snapshot(run.trainer.gan)), "as after a rollback to the start"


def test_auto_takes_the_gan_and_the_networks(data: Path, source: Path, tmp_path: Path) -> None:
    options = TrainOptions(pretrained=source, run=tmp_path / "run", device="cpu")
    resolved = plan(data, options)
    assert resolved.spec == "dcgan:tiny" and resolved.config.features == 8 and resolved.config.z == 8  # type: ignore[attr-defined]
    assert [reason.code for reason in resolved.reasons][:2] == ["auto.pretrained_gan", "auto.pretrained"]  # type: ignore[union-attr]
    wide = plan(data, options, {"features": 16})
    gan = wide.gan(wide.config)
    assert wide.pretrained is not None and wide.pretrained.start(gan)["G"].tensors < 12
    assert "features is 8 there and 16 here" in str(wide.pretrained.differences(gan))
    named = plan(data, TrainOptions(gan="r3gan", pretrained=source, run=tmp_path / "run", device="cpu"))
    assert named.gan.name == "r3gan" and named.config.network == "conv", "another GAN has its own settings"  # type: ignore[attr-defined]
    modern = plan(data, TrainOptions(pretrained="bundled", run=tmp_path / "run", device="cpu"))
    assert modern.gan.name == "r3gan" and modern.config.features == 32 and modern.config.batch == 16  # type: ignore[attr-defined]


def test_growing_networks_have_grown(data: Path, tmp_path: Path) -> None:
    model = stored(build("progan:tiny"), tmp_path / "model")
    config: Any = plan(data, TrainOptions(pretrained=model, run=tmp_path / "run", device="cpu")).config
    assert (config.fade, config.stable, config.features) == (0, 0, 4)


def test_a_gan_in_a_file_starts_from_itself_and_its_run_is_no_command(
    data: Path, source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    REGISTERED.pop("own", None)
    request.addfinalizer(lambda: REGISTERED.pop("own", None))
    code = "from simulacra.gans import dcgan\n\nclass Own(dcgan.DCGAN):\n    name = 'own'\n"
    (tmp_path / "own.py").write_text(code)
    spec = f"{tmp_path / 'own.py'}:Own"
    run = train(data, gan=f"{spec}:tiny", run=tmp_path / "first", total=16, **OPTIONS)
    for gan in (spec, None):
        resolved = plan(data, TrainOptions(gan=gan, pretrained=run, run=tmp_path / "second", device="cpu"))
        assert resolved.gan.name == "own" and resolved.config.features == 8  # type: ignore[attr-defined]
    copy = shutil.copytree(source, tmp_path / "copy")
    config = read_json(copy / "config.json")
    (tmp_path / "evil.py").write_text("raise RuntimeError")
    write_json(copy / "config.json", config | {"spec": f"{tmp_path / 'evil.py'}:Own"})
    assert open_pretrained(copy).spec == "dcgan", "a file that a run names is not executed"


def test_the_command_says_what_it_takes(data: Path, source: Path, tmp_path: Path, run_cli: Cli) -> None:
    words = ["train", str(data), "--from", str(source), "--run", str(tmp_path / "run"), "--device", "cpu"]
    words += ["--freeze", "20k"]
    status, out, _ = run_cli(*words, "--dry-run")
    assert status == 0 and not (tmp_path / "run").exists()
    sentence = (
        f"starts from {source} (64 images): G takes 12 of its 12 tensors, D 6 of 6; D's layers nearest the picture"
    )
    assert unspaced(sentence) in unspaced(out)
    model = stored(build("dcgan:tiny"), tmp_path / "model", D=False)
    _, out, _ = run_cli(*words[:3], str(model), *words[4:], "--dry-run")
    assert unspaced("no D is stored there, so D starts anew") in unspaced(out)


def unspaced(text: str) -> str:
    """Text without the breaks of a terminal's lines."""
    return "".join(text.split())


# --- refusals ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_started_from(data: Path, source: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"run": tmp_path / "run", "total": 16, **OPTIONS}
    with refused("storage.missing"):
        train(data, pretrained=tmp_path / "nowhere", **options)
    with refused("storage.neither_run_nor_model"):
        train(data, pretrained=data, **options)
    with refused("plan.from_a_translator"):
        train(data, pretrained=stored(build("cyclegan:tiny"), tmp_path / "translator"), **options)
    with refused("train.nothing_in_common", player="G", old="dcgan:tiny", new="stylegan2"):
        train(data, gan="stylegan2:tiny", pretrained=source, **options)
    other = stored(build("cgan:tiny", design="two"), tmp_path / "two")
    labelled = on_disk(tmp_path / "labelled", noise(24), torch.arange(24).numpy() % 3)
    with refused("train.nothing_in_common", player="D"):
        train(labelled, gan="cgan:tiny", design="pair", pretrained=other, **options)
    with refused("plan.freeze_without_from"):
        train(data, gan="mlp:tiny", freeze="20k", **options)
    gan = build("mlp:tiny")
    with torch.no_grad():
        next(gan.D.parameters())[0] = float("inf")
    with refused("train.pretrained_not_finite", player="D"):
        train(data, pretrained=stored(gan, tmp_path / "sick"), **options)
    assert not (tmp_path / "run").exists()


def test_another_model_on_an_existing_run(
    data: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy, model = shutil.copytree(source, tmp_path / "copy"), stored(build("dcgan:tiny"), tmp_path / "model")
    run = train(data, pretrained=copy, total=16, **OPTIONS)
    assert run == Path("runs/tiny-dcgan-tiny")
    with refused("plan.other_settings"):
        train(data, run=run, pretrained=model, **OPTIONS)
    with refused("plan.other_settings"):
        train(run, freeze=8, **OPTIONS)
    plain = train(data, gan="dcgan:tiny", run=tmp_path / "plain", total=16, **OPTIONS)
    with refused("plan.other_settings"):
        train(data, run=plain, pretrained=model, **OPTIONS)
    shutil.move(copy, tmp_path / "moved")
    assert plan(data, TrainOptions(pretrained="copy")).folder == run, "the same command, though the source is gone"
    assert plan(data, TrainOptions(pretrained="moved", run=run)).resumed, "the same model at another place"
    shutil.rmtree(run / pretrained_.FOLDER)
    with refused("storage.missing"):
        plan(run)
    shutil.move(tmp_path / "moved", copy)
    assert plan(run).pretrained is not None, "killed before the model was copied"

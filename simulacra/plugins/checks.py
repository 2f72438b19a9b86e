"""The checks that every GAN must pass, built in or from outside: `simulacra check-gan`, and the tests of this package.

A check gets a spec (see `gan.configured`; it may end with "+labels") and an empty folder. It raises `CheckFailed` with what is
wrong, or `Skipped` where it does not apply. `CHECKS` holds all of them by name, in the order in which they make sense.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.config import explanation
from simulacra.data.dataset import Dataset
from simulacra.errors import SimulacraError
from simulacra.gan import check_players
from simulacra.generator import Generator
from simulacra.layers.filters import reduce
from simulacra.messages import Message
from simulacra.model import Model
from simulacra.plugins.harness import (
    CLASSES,
    CPU,
    advance,
    batch,
    build,
    differences,
    effective,
    forms,
    in_memory,
    make_trainer,
    noise,
    snapshot,
    suitable,
    tiny,
)
from simulacra.training.trainer import Trainer
from simulacra.translator import Translator
from simulacra.upscaler import Upscaler

SHAPES = ((3, 16, 16), (1, 16, 16), (4, 16, 16), (3, 16, 24))
STEPS = 8
OPTIONS: tuple[dict[str, Any], ...] = (
    {"balance": "adaptive"},
    {"dropout": 0.3, "mirror": True, "clip": 0.5, "lr_decay": 0.01},
)

Check = Callable[[str, Path], None]
CHECKS: dict[str, Check] = {}


class CheckFailed(SimulacraError):
    """A GAN breaks the contract; the sentence says where."""


class Skipped(SimulacraError):
    """A check does not apply, or needs an extra that is not installed."""


def check(function: Check) -> Check:
    """Decorator: a check goes by its function's name."""
    CHECKS[function.__name__] = function
    return function


def specs(spec: str) -> list[str]:
    """The specs to check of a GAN: its preset for tests where it has one, and its conditional form."""
    return forms(tiny(spec))


def ensure(holds: bool | Tensor, code: str, **values: Any) -> None:
    """Raise `CheckFailed` with the sentence of `code` unless `holds`."""
    if not holds:
        raise CheckFailed(code, **values)


def draw(model: Model, seeds: Sequence[int]) -> Tensor:
    """Pictures of `seeds` with labels as in the data; of another model, what it makes of as many pictures of noise."""
    if isinstance(model, Translator):
        return model.translate(batch(model.shape, len(seeds)).images, "b")
    if isinstance(model, Upscaler):
        return model.upscale(reduce(batch(model.shape, len(seeds)).images))
    assert isinstance(model, Generator)
    pictures: Tensor = model(model.seeded(seeds), model.conditions(seeds))
    return pictures


@check
def description(spec: str, folder: Path) -> None:
    """The GAN says what it is: title, authors, year, paper, both losses, for whom it is, a sentence a setting."""
    gan = type(build(spec))
    missing = [name for name in ("name", "title", "authors", "year", "paper", "suits") if not getattr(gan, name, None)]
    ensure(not missing, "check.description.missing", names=missing)
    ensure(len(gan.formulas) == 2, "check.description.formulas")
    silent = [field.name for field in dataclasses.fields(gan.Config) if not explanation(gan.Config, field.name)]
    ensure(not silent, "check.description.settings", names=silent)


@check
def construction(spec: str, folder: Path) -> None:
    """It is built for grey, RGB, RGBA and oblong pictures; G draws them; losses and stats have the contract's shapes."""
    for shape in SHAPES:
        gan = build(spec, shape)
        pictures = draw(gan.G, range(5))
        ensure(
            pictures.shape == (5, *shape), "check.construction.shape", expected=(5, *shape), shape=tuple(pictures.shape)
        )
        ensure(pictures.dtype == torch.float32, "check.construction.dtype", dtype=pictures.dtype)
        ensure(torch.isfinite(pictures).all() and pictures.abs().max() <= 1, "check.construction.range")
        ensure(pictures.std() > 0, "check.construction.constant")
        sample = batch(shape)
        rows = len(sample.images) * (2 if gan.task == "translate" else 1)
        for name, (loss, stats) in (("d_loss", gan.d_loss(sample)), ("g_loss", gan.g_loss(sample))):
            ensure(loss.shape == () and torch.isfinite(loss), "check.construction.loss", name=name)
            ensure(stats["fake"].shape == (rows,), "check.construction.stats", name=name, rows=rows)
        real, fake = gan.discriminate_pair(sample, gan.generate(sample, grad=False))
        ensure(real.shape == fake.shape == (rows,), "check.construction.pair", rows=rows)


@check
def players(spec: str, folder: Path) -> None:
    """G and D are all that is trained, and all of their parameters get gradients and move."""
    check_players(build(spec))
    trainer = make_trainer(spec, folder)
    before = {player: snapshot(network) for player, network in trainer.networks.items()}
    taught: dict[str, set[str]] = {"D": set(), "G": set()}
    while (
        not all(trainer.steps.values()) or sum(trainer.steps.values()) < STEPS
    ):  # layers may start at 0, or come later
        trainer.step()
        for player, network in trainer.networks.items():
            gradients = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
            taught[player] |= gradients.keys()
            infinite = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
            ensure(not infinite, "check.players.infinite", player=player, names=infinite)
    for player, network in trainer.networks.items():
        untaught = [name for name, _ in network.named_parameters() if name not in taught[player]]
        ensure(not untaught, "check.players.no_gradient", player=player, names=untaught)
        still = [name for name, value in network.named_parameters() if torch.equal(value, before[player][name])]
        still = [name for name in still if name not in _free(trainer, player)]
        ensure(not still, "check.players.still", player=player, names=still)


def _free(trainer: Trainer, player: str) -> set[str]:
    """Parameters that may rest: D's last bias, where only differences of its scores count, or within a hinge."""
    gan = trainer.gan
    if player == "G" or (gan.targeted and getattr(gan.config, "loss", "") != "relativistic"):
        return set()
    biases = [name for name, _ in trainer.networks["D"].named_parameters() if name.endswith("bias")]
    return {*{name[0]: name for name in biases}.values()} if gan.task == "translate" else set(biases[-1:])


@check
def opponent(spec: str, folder: Path) -> None:
    """A step leaves the opponent alone: no parameter, gradient or optimizer state of it changes.

    Of its buffers only the running statistics of a batch norm may move, which decide nothing in training.
    """
    trainer = make_trainer(spec, folder)
    for _ in range(5):
        other = "G" if trainer.balance.next() == "D" else "D"
        network = trainer.networks[other]
        network.zero_grad(set_to_none=True)
        before, optimizer = snapshot(network), _optimizer_state(trainer, other)
        trainer.step()
        changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        changed -= _running_statistics(network)
        ensure(not changed, "check.opponent.changed", player=other, names=sorted(changed))
        touched = [name for name, value in network.named_parameters() if value.grad is not None]
        ensure(not touched, "check.opponent.gradient", player=other, names=touched)
        ensure(not differences(optimizer, _optimizer_state(trainer, other)), "check.opponent.optimizer", player=other)
    gan = make_trainer(spec, folder).gan
    ensure(not gan.generate(batch(), grad=False).requires_grad, "check.opponent.generate")
    loss, _ = gan.d_loss(batch())
    loss.backward()  # type: ignore[no-untyped-call]
    reached = [name for name, value in gan.G.named_parameters() if value.grad is not None]
    ensure(not reached, "check.opponent.gradient", player="G", names=reached)


def _optimizer_state(trainer: Trainer, player: str) -> dict[int, dict[str, Tensor]]:
    state = trainer.optimizers[player].state
    return {id(key): {name: value.clone() for name, value in entry.items()} for key, entry in state.items()}


def _running_statistics(network: nn.Module) -> set[str]:
    norms = (
        (name, part) for name, part in network.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    )
    return {f"{name}.{key}" for name, _ in norms for key in ("running_mean", "running_var", "num_batches_tracked")}


@check
def settings(spec: str, folder: Path) -> None:
    """Every setting changes what a run computes, or is refused under the other settings."""
    from simulacra.config import FROM_DATA
    from simulacra.plugins.settings_check import OF_THE_CLOCK, without_effect

    fields = {field.name for field in dataclasses.fields(build(spec).config)} - FROM_DATA - OF_THE_CLOCK
    idle = without_effect(functools.partial(build, spec), folder, sorted(fields))
    ensure(not idle, "check.settings.idle", names=idle)


@check
def resume(spec: str, folder: Path) -> None:
    """Eight steps equal three, a save, and five in another process's place: every bit of the state, every journal value."""
    for number, options in enumerate(OPTIONS):
        words, place = effective(spec, options), folder / str(number)
        whole = advance(make_trainer(spec, place / "whole", **words), 8)
        first = advance(make_trainer(spec, place / "parts", **words), 3)
        place.mkdir(parents=True, exist_ok=True)
        torch.save(first.state_dict(), place / "state.pt")
        advance(first, 2)  # what a killed process did after its last checkpoint leaves no trace
        torch.manual_seed(12345)
        second = advance(make_trainer(spec, place / "parts", **words), 1)  # nor does what it held before
        second.load_state_dict(torch.load(place / "state.pt", weights_only=True))
        advance(second, 5)
        different = differences(whole.state_dict(), second.state_dict())
        ensure(not different, "check.resume.state", places=different[:5], settings=words)
        different = differences(whole.journal_line(images_per_second=1.0), second.journal_line(images_per_second=1.0))
        ensure(not different, "check.resume.journal", places=different[:5], settings=words)
        ensure(whole.nimg > 0, "check.resume.clock")


@check
def seed(spec: str, folder: Path) -> None:
    """The seed decides: the same seed gives the same run, another seed another one."""
    one, same = (advance(make_trainer(spec, folder), 3).state_dict() for _ in range(2))
    ensure(not differences(one, same), "check.seed.random", places=differences(one, same)[:5])
    other = make_trainer(spec, folder)
    other.seed = 4
    ensure(bool(differences(one, advance(other, 3).state_dict())), "check.seed.ignored")


@check
def bf16(spec: str, folder: Path) -> None:
    """A step in bf16 is near the step in fp32; weights stay finite and in fp32."""
    low, full = (advance(make_trainer(spec, folder, precision=precision), 1) for precision in ("bf16", "fp32"))
    one, other = (
        torch.cat([value.grad.flatten() for value in trainer.gan.D.parameters() if value.grad is not None])
        for trainer in (low, full)
    )
    ensure(not torch.equal(one, other), "check.bf16.unused")
    similarity = float(torch.cosine_similarity(one, other, dim=0))
    ensure(similarity > 0.98, "check.bf16.far", similarity=similarity)
    advance(low, 11)
    infinite = [name for name, value in low.gan.state_dict().items() if not torch.isfinite(value).all()]
    ensure(not infinite, "check.bf16.infinite", names=infinite)
    short = [name for name, value in low.gan.named_parameters() if value.dtype != torch.float32]
    ensure(not short, "check.bf16.weights", names=short)
    with torch.autocast("cpu", torch.bfloat16):
        dtype = draw(low.gan.G, [1]).dtype
    ensure(dtype == torch.float32, "check.construction.dtype", dtype=dtype)


@check
def picture(spec: str, folder: Path) -> None:
    """A number names a picture: the same alone and in a batch of any size."""
    for shape in SHAPES:
        generator = build(spec, shape).G.eval()
        if not isinstance(generator, Generator):
            raise Skipped("check.skipped.translator")
        latents = generator.seeded(range(1, 9))
        ensure(torch.equal(generator.seeded([5])[0], latents[4]), "check.picture.latent")
        ensure(len(torch.unique(latents, dim=0)) == 8, "check.picture.latent")
        with torch.no_grad():
            near = torch.allclose(draw(generator, [5])[0], draw(generator, range(1, 9))[4], rtol=0, atol=1e-5)
        ensure(near, "check.picture.batch")
        eight, threes = (torch.cat(list(generator.pictures(range(1, 9), batch=size))) for size in (8, 3))
        ensure(torch.allclose(eight, threes, rtol=0, atol=1e-5), "check.picture.batch")


@check
def onnx(spec: str, folder: Path) -> None:
    """The exported generator draws the same pictures, at another batch size than that of the export."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise Skipped("check.skipped.onnx") from error
    from simulacra.publish.onnx import export

    generator = advance(make_trainer(spec, folder), 4).gan.G.eval()
    if not isinstance(generator, Generator):
        raise Skipped("check.skipped.translator")
    path = export(generator, folder / "G.onnx", gan=spec)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    ensure((metadata.get("gan"), metadata.get("task")) == (spec, "draw"), "check.onnx.metadata")
    for n in (1, 5):
        inputs = {"z": generator.seeded(range(n)), "y": generator.conditions(range(n))}
        (pictures,) = session.run(
            ["images"], {name: value.numpy() for name, value in inputs.items() if value is not None}
        )
        with torch.no_grad():
            far = float((torch.from_numpy(pictures) - draw(generator, range(n))).abs().max())
        ensure(far <= 1e-5, "check.onnx.far", far=far)


@check
def health(spec: str, folder: Path) -> None:
    """Measuring the run's health leaves no trace in weights, buffers, modes and later steps."""
    from simulacra.training.health import Health

    for separate in (True, False):
        options = effective(spec, {"dropout": 0.2, "separate": separate})
        one, other = (advance(make_trainer(spec, folder, **options), 5) for _ in range(2))
        gan, before = type(one.gan), snapshot(one.gan)
        data, unseen = (suitable(gan, noise(n, seed=number)) for number, n in enumerate((40, 30)))
        with torch.no_grad():
            pictures = draw(one.ema.average, range(64))
        Health(data, unseen, CPU, tick=240, shown=64).measures(one, pictures)
        ensure(not differences(before, snapshot(one.gan)), "check.health.changed")
        ensure(all(module.training for module in one.gan.modules()), "check.health.mode")
        advance(one, 5), advance(other, 5)
        ensure(not differences(one.state_dict(), other.state_dict()), "check.health.later")


@check
def processes(spec: str, folder: Path) -> None:
    """Two processes hold the same weights, bit for bit, and those that one process comes to, to rounding."""
    from simulacra.plugins.processes import two_processes

    variants = [effective(spec, {"balance": balance, "dropout": 0.1}) for balance in ("fixed:1", "adaptive")]
    for settings, (one, other) in zip(variants, two_processes(spec, folder, variants, steps=STEPS), strict=True):
        ensure(not differences(one, other), "check.processes.apart", places=differences(one, other)[:5])
        ensure(sum(one["plays"].values()) == STEPS, "check.processes.steps")
        half = make_trainer(spec, folder).config.batch // 2
        alone = advance(make_trainer(spec, folder, micro=half, **settings), STEPS)
        ensure(one["plays"] == alone.steps and one["nimg"] == alone.nimg, "check.processes.steps")
        far = [
            name
            for name, value in alone.gan.named_parameters()
            if not torch.allclose(one["gan"][name], value.detach(), rtol=1e-3, atol=2e-5)
        ]
        ensure(not far, "check.processes.far", names=far)


@check
def learning(spec: str, folder: Path) -> None:
    """It learns four pictures: most fakes are near one of them, and none of the four is missing."""
    gan = type(build(spec))
    if gan.task != "draw":
        raise Skipped("check.skipped.translator")
    trainer = make_trainer(spec, folder, four_pictures(), **HASTE | dict(gan.haste))
    share, shares = learn(trainer, halves(), HEIGHT / 2, steps=2500)
    ensure(share > 0.65, "check.learning.share", share=share)
    ensure(min(shares) > 0.1, "check.learning.missing", shares=[f"{value:.0%}" for value in shares])


HASTE: dict[str, Any] = {"batch": 32, "lr": 2e-3, "ema": 1000}  # published rates are for millions of steps
SIDE, HEIGHT = 8, 0.8  # of the four pictures: pixels, and the size of their values
EVERY = 100  # steps between looks


def halves() -> Tensor:
    """Four pictures as far apart as can be: the left, right, upper and lower half white. [4, 1, SIDE, SIDE]"""
    four = torch.full((4, 1, SIDE, SIDE), -HEIGHT)
    four[0, :, :, : SIDE // 2] = four[1, :, :, SIDE // 2 :] = HEIGHT
    four[2, :, : SIDE // 2] = four[3, :, SIDE // 2 :] = HEIGHT
    return four


def four_pictures() -> Dataset:
    """Each of the four 32 times with a little noise, with classes for conditional GANs."""
    pictures = halves().repeat_interleave(32, 0).numpy().transpose(0, 2, 3, 1)
    pictures = pictures + np.random.default_rng(0).normal(0, 0.05, pictures.shape)
    return in_memory((pictures * 127.5 + 127.5).round().astype(np.uint8), np.arange(4).repeat(32) % CLASSES)


def near_modes(points: Tensor, modes: Tensor, near: float) -> tuple[float, list[float]]:
    """The share of `points` [N, ...] nearer than `near` to one of `modes` (mean absolute distance), and each mode's share."""
    nearest = (points[:, None] - modes[None]).abs().flatten(2).mean(2).min(1)
    close = nearest.indices[nearest.values < near]
    return len(close) / len(points), (torch.bincount(close, minlength=len(modes)) / len(points)).tolist()


def learn(trainer: Trainer, modes: Tensor, near: float, steps: int) -> tuple[float, list[float]]:
    """Train until most fakes of the average are near a mode and every mode has its share, or for so many steps."""
    generator = trainer.ema.average
    assert isinstance(generator, Generator)
    latents, y = generator.seeded(range(512)), generator.conditions(range(512))
    share, shares = near_modes(generator(latents, y), modes, near)
    ensure(share < 0.2, "check.learning.untrained")
    for _ in range(0, steps, EVERY):
        advance(trainer, EVERY)
        share, shares = near_modes(generator(latents, y), modes, near)
        if share > 0.65 and min(shares) > 0.4 / len(modes):
            break
    return share, shares


def title(name: str) -> Message:
    """What the check called `name` is about, in the language in use."""
    return Message(TITLES[name])


TITLES = {
    "description": "check.description",
    "construction": "check.construction",
    "players": "check.players",
    "opponent": "check.opponent",
    "settings": "check.settings",
    "resume": "check.resume",
    "seed": "check.seed",
    "bf16": "check.bf16",
    "processes": "check.processes",
    "picture": "check.picture",
    "onnx": "check.onnx",
    "health": "check.health",
    "learning": "check.learning",
}

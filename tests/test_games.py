"""Every game of the registry, at its tiny preset: a new game gets these tests for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from support import (
    KINDS,
    SHAPES,
    copied,
    differences,
    forms,
    game,
    make_trainer,
    noise,
    play,
    suitable,
    translating,
)
from torch import Tensor, nn

import simulacra
from simulacra.gan import GAN, Batch, Generator, Shape
from simulacra.registry import find, gans
from simulacra.translator import Translator

NAMES = list(gans())
every_game = pytest.mark.parametrize("name", forms() + translating())
every_latent_game = pytest.mark.parametrize("name", forms())
every_shape = pytest.mark.parametrize("shape", SHAPES, ids="x".join("%d" for _ in range(3)).__mod__)


def batch(shape: Shape, n: int = 6) -> Batch:
    images = torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(images, torch.arange(n) % KINDS, -images.flip(0))


def drawn(generator: Generator | Translator, seeds: Sequence[int]) -> Tensor:
    """Pictures of `seeds`, with the labels that they have; of a translator, what becomes of as many pictures of noise."""
    if isinstance(generator, Translator):
        return generator.translate(batch(generator.shape, len(seeds)).images, "b")
    pictures: Tensor = generator(generator.seeded(seeds), generator.conditions(seeds))
    return pictures


def test_the_registry_finds_every_file() -> None:
    assert {"mlp", "dcgan", "wgan", "wgan-gp"} <= set(NAMES)
    assert [gan.year for gan in gans().values()] == sorted(gan.year for gan in gans().values())
    for name, gan in gans().items():
        assert find(name) is gan
        assert gan.title and gan.authors and gan.paper and len(gan.formulas) == 2
        assert "tiny" in gan.presets


@every_game
@every_shape
def test_builds_and_renders(name: str, shape: Shape) -> None:
    gan = game(name, shape)
    pictures = drawn(gan.G, range(5))
    assert pictures.shape == (5, *shape)
    assert pictures.dtype == torch.float32
    assert torch.isfinite(pictures).all()
    assert pictures.abs().max() <= 1
    assert pictures.std() > 0
    assert gan.G.shape == shape
    for loss, stats in (gan.d_loss(batch(shape)), gan.g_loss(batch(shape))):
        assert loss.shape == ()
        assert torch.isfinite(loss)
        assert stats["fake"].shape == (12 if gan.task == "translate" else 6,)
    real, fake = gan.discriminate_pair(batch(shape), gan.generate(batch(shape), grad=False))
    assert real.shape == fake.shape == (12 if gan.task == "translate" else 6,)


@every_game
def test_both_players_move_with_all_their_parameters(name: str, tmp_path: Path) -> None:
    trainer = make_trainer(name, tmp_path)
    before = {player: copied(side) for player, side in trainer.networks.items()}
    taught: dict[str, set[str]] = {"D": set(), "G": set()}
    while not all(trainer.steps.values()) or sum(trainer.steps.values()) < 8:  # layers may start at 0, or come later
        trainer.step()
        for player, side in trainer.networks.items():
            gradients = {key: value.grad for key, value in side.named_parameters() if value.grad is not None}
            taught[player] |= gradients.keys()
            assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    for player, side in trainer.networks.items():
        assert taught[player] == {key for key, _ in side.named_parameters()}, "some have no gradient"
        still = [key for key, value in side.named_parameters() if torch.equal(value, before[player][key])]
        biases = [key for key, _ in side.named_parameters() if key.endswith("bias")]
        differences = not trainer.gan.targeted or getattr(trainer.gan.config, "loss", "") == "relativistic"
        lasts = {key[0]: key for key in biases}.values() if trainer.gan.task == "translate" else biases[-1:]
        free = lasts if player == "D" and differences else []
        assert set(still) <= set(free), (
            "only a last bias may rest, of a D without targets: none in a difference of scores, none within a hinge"
        )


@every_game
def test_a_play_leaves_the_opponent_alone(name: str, tmp_path: Path) -> None:
    """No parameter of the opponent moves and none gets a gradient; of its buffers only the running statistics of
    a batch norm may move, which follow every batch that goes through it and decide nothing in training."""
    trainer = make_trainer(name, tmp_path)
    for _ in range(5):
        other = "G" if trainer.balance.next() == "D" else "D"
        side = trainer.networks[other]
        before = copied(side)
        side.zero_grad(set_to_none=True)
        optimizer = {id(k): {n: v.clone() for n, v in s.items()} for k, s in trainer.optimizers[other].state.items()}
        trainer.step()
        running = {
            f"{prefix}.{key}"
            for prefix, module in side.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            for key in ("running_mean", "running_var", "num_batches_tracked")
        }
        changed = {key for key, value in side.state_dict().items() if not torch.equal(value, before[key])}
        assert changed <= running
        assert all(value.grad is None for value in side.parameters())
        after = {id(k): dict(s) for k, s in trainer.optimizers[other].state.items()}
        assert not differences(optimizer, after)


@every_game
@pytest.mark.parametrize("balance", ["own", "adaptive"])
@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.3, "mirror": True, "clip": 0.5, "lr_decay": 0.01}], ids=["plain", "options"]
)
def test_eight_plays_are_three_then_saved_then_five(
    name: str, balance: str, options: dict[str, Any], tmp_path: Path
) -> None:
    if balance != "own":
        options = options | {"balance": balance}
    whole = play(make_trainer(name, tmp_path / "whole", **options), 8)

    first = play(make_trainer(name, tmp_path / "parts", **options), 3)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    play(first, 2)  # what a killed process did after its last checkpoint leaves no trace
    torch.manual_seed(12345)
    second = make_trainer(name, tmp_path / "parts", **options)
    play(second, 1)  # nor does what it held before
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    play(second, 5)

    assert not differences(whole.state_dict(), second.state_dict())
    assert not differences(whole.journal_line(images_per_second=1.0), second.journal_line(images_per_second=1.0))
    assert whole.nimg > 0


@every_game
def test_the_seed_decides(name: str, tmp_path: Path) -> None:
    """The same seed gives the same run, and another seed another one, or the test above would say nothing."""
    runs = [play(make_trainer(name, tmp_path), 3) for _ in range(2)]
    assert not differences(runs[0].state_dict(), runs[1].state_dict())
    other = make_trainer(name, tmp_path)
    other.seed = 4
    assert differences(runs[0].state_dict(), play(other, 3).state_dict())


@every_game
def test_bf16_is_finite_and_near(name: str, tmp_path: Path) -> None:
    low = play(make_trainer(name, tmp_path, precision="bf16"), 1)
    full = play(make_trainer(name, tmp_path), 1)
    one, other = (
        torch.cat([p.grad.flatten() for p in t.gan.D.parameters() if p.grad is not None]) for t in (low, full)
    )
    assert not torch.equal(one, other), "it was not bf16"
    assert torch.cosine_similarity(one, other, dim=0) > 0.98
    play(low, 11)
    assert low.steps["G"] > 1
    for key, value in low.gan.state_dict().items():
        assert torch.isfinite(value).all(), key
    for key, value in low.gan.named_parameters():
        assert value.dtype == torch.float32, f"{key}: weights are kept in full"
        assert value.grad is None or value.grad.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert drawn(low.gan.G, [1]).dtype == torch.float32


@every_latent_game
@every_shape
def test_a_picture_is_named_by_a_number(name: str, shape: Shape) -> None:
    generator = game(name, shape).G.eval()
    alone, eight = generator.seeded([5]), generator.seeded([1, 2, 3, 4, 5, 6, 7, 8])
    assert torch.equal(alone[0], eight[4])
    assert torch.equal(generator.seeded([5]), alone)
    assert len(torch.unique(eight, dim=0)) == 8
    with torch.no_grad():
        torch.testing.assert_close(drawn(generator, [5])[0], drawn(generator, range(1, 9))[4], rtol=0, atol=1e-5)
    first, second = (list(generator.pictures(range(1, 9), batch=size)) for size in (8, 3))
    assert [len(part) for part in second] == [3, 3, 2]
    torch.testing.assert_close(torch.cat(first), torch.cat(second), rtol=0, atol=1e-5)


@every_latent_game
def test_exports_to_onnx_and_agrees(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At another batch size than it was exported with; without a word of the exporter's."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'simulacra[onnx]'")
    pytest.importorskip("onnxscript", reason="needs the extra: pip install 'simulacra[onnx]'")
    from simulacra.publish.onnx import export

    generator = play(make_trainer(name, tmp_path), 4).gan.G.eval()
    path = export(generator, tmp_path / "G.onnx", gan=name)
    assert capfd.readouterr() == ("", "")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata.items() >= {"simulacra": simulacra.__version__, "gan": name, "task": "draw"}.items()
    for n in (1, 5):
        inputs = {"z": generator.seeded(range(n)), "y": generator.conditions(range(n))}
        (pictures,) = session.run(
            ["images"], {key: value.numpy() for key, value in inputs.items() if value is not None}
        )
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(pictures), drawn(generator, range(n)), rtol=0, atol=1e-5)


@every_game
def test_no_graph_through_the_frozen_player(name: str, tmp_path: Path) -> None:
    """When D plays, no gradient may flow into G: its fakes carry none."""
    gan: GAN = make_trainer(name, tmp_path, suitable(name, noise(8))).gan
    assert not gan.generate(batch((3, 16, 16)), grad=False).requires_grad
    loss, _ = gan.d_loss(batch((3, 16, 16)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is None for value in gan.G.parameters())

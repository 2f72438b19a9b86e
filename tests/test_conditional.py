"""Labels inside the networks: conditional norms, projection, and what a conditional generator and D make of a label."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support import CLASSES, build, refused
from torch import Tensor, nn
from torch.nn.functional import one_hot

from simulacra.gans import dcgan
from simulacra.layers import ConditionalNorm, LabelProjection
from simulacra.registry import configured, gans

NETWORKS: list[dict[str, Any]] = [
    {},
    *({"norm_g": norm, "norm_d": norm} for norm in ("instance", "layer", "none")),
    {"network": "dense"},
    {"network": "mlp"},
]
every_network = pytest.mark.parametrize("words", NETWORKS, ids=lambda words: "-".join(words.values()) or "conv")


def conditions(*classes: int, of: int = CLASSES) -> Tensor:
    return one_hot(torch.tensor(classes), of).float()


def test_a_conditional_batch_norm_is_its_definition() -> None:
    """Statistics of the whole batch, a gain and a bias of each class."""
    torch.manual_seed(0)
    norm, x, classes = (
        ConditionalNorm(nn.BatchNorm2d(4, affine=False), 4, 3),
        torch.randn(6, 4, 5, 5),
        [0, 1, 2, 2, 1, 0],
    )
    nn.init.normal_(norm.affine.weight)
    nn.init.normal_(norm.affine.bias)
    gains = 1 + norm.affine.weight[:4].T + norm.affine.bias[:4]  # [class, channel]
    biases = norm.affine.weight[4:].T + norm.affine.bias[4:]
    normal = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = normal * gains[classes][:, :, None, None] + biases[classes][:, :, None, None]
    torch.testing.assert_close(norm(x, conditions(*classes)), expected)
    assert (norm(x, conditions(0, 0, 0, 0, 0, 0)) - norm(x, conditions(1, 1, 1, 1, 1, 1))).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["batch", "instance", "layer", "none"])
def test_with_equal_gains_it_is_the_plain_norm(kind: Any) -> None:
    torch.manual_seed(0)
    plain, conditional = dcgan.norm(kind, 4), dcgan.norm(kind, 4, CLASSES)
    assert isinstance(conditional, ConditionalNorm)
    nn.init.zeros_(conditional.affine.weight)
    if kind != "none":
        nn.init.normal_(plain.weight)  # type: ignore[arg-type]
        nn.init.normal_(plain.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            conditional.affine.bias.copy_(torch.cat([plain.weight - 1, plain.bias]))  # type: ignore[list-item,operator]
    for train in (True, True, False):  # by the batch's statistics, and then by the running ones
        x = torch.randn(5, 4, 3, 3) * 2 + 1
        torch.testing.assert_close(conditional.train(train)(x, conditions(0, 1, 2, 1, 0)), plain.train(train)(x))


def test_a_projection_is_an_inner_product() -> None:
    torch.manual_seed(0)
    projection, features = LabelProjection(CLASSES, 4), torch.randn(5, 4, 3, 2)
    V, y = projection.embedding.weight, torch.rand(5, CLASSES)
    expected = torch.stack([(V @ y[i]) @ features[i].sum((1, 2)) for i in range(5)])
    torch.testing.assert_close(projection(features, y), expected)
    torch.testing.assert_close(projection(features.sum((2, 3)), y), expected)


@pytest.mark.parametrize("words", NETWORKS[:5], ids=lambda words: "-".join(words.values()) or "conv")
def test_a_projection_discriminator_adds_it_to_the_logit(words: dict[str, Any]) -> None:
    gan = build("dcgan:tiny+labels", (3, 32, 32), **words)
    D, images, y = gan.D.eval(), torch.rand(5, 3, 32, 32) * 2 - 1, conditions(0, 1, 2, 1, 0)
    arguments: list[Tensor] = []
    D.projection.register_forward_hook(lambda module, inputs, output: arguments.extend([inputs[0], output]))  # type: ignore[union-attr]
    logits, without = D(images, y), D(images, torch.zeros_like(y))
    pooled = arguments[0].flatten(2).sum(2)
    V = D.projection.embedding.weight  # type: ignore[union-attr]
    torch.testing.assert_close(logits - without, ((y @ V.T) * pooled).sum(1))  # type: ignore[operator]
    torch.testing.assert_close(arguments[1], ((y @ V.T) * pooled).sum(1))  # type: ignore[operator]
    plain = copy.deepcopy(D)
    plain.projection = None  # type: ignore[assignment]
    torch.testing.assert_close(plain(images), without)


@every_network
def test_both_players_listen(words: dict[str, Any]) -> None:
    gan = build("dcgan:tiny+labels", (3, 32, 32), **words)
    G, D = gan.G.eval(), gan.D.eval()
    z = G.seeded([5, 5])
    with torch.no_grad():
        one, other = G(z, torch.tensor([0, 1]))
        assert not torch.equal(one, other), "the same latent, another label"
        halfway = G(z, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]))
        assert not torch.equal(halfway[0], halfway[1])
        assert torch.equal(G(z, conditions(0, 1)), G(z, torch.tensor([0, 1])))
        logits = D(torch.stack([one, one]), conditions(0, 1))
        assert logits[0] != logits[1]
        far = G.truncate(G.mapping(z, conditions(0, 1)), 0.0)
        centre = G.synthesis(far)
        assert not torch.equal(centre[0], centre[1]), "truncation leaves the label"


@pytest.mark.parametrize("labels", ["", "+labels"])
def test_modulated_norms_depend_on_z(labels: str) -> None:
    G: Any = build(f"dcgan:tiny{labels}", (3, 32, 32), modulation=True).G.eval()
    z, y = G.seeded([1, 2]), conditions(0, 1) if labels else None
    w, inner = G.mapping(z, y), G.first(z)
    G.first.register_forward_hook(lambda *_: inner)  # the first layer's z stays, the norms' changes
    other = torch.cat([G.seeded([3, 4]), w[:, G.z_dim :]], 1)
    norms = [module for module in G.modules() if isinstance(module, ConditionalNorm)]
    assert len(norms) == 3
    with torch.no_grad():
        for norm in norms:
            assert norm.affine.in_features == G.z_dim + (CLASSES if labels else 0)
            assert not torch.equal(G.synthesis(w), G.synthesis(other))
            norm.affine.weight[:, : G.z_dim] = 0
        torch.testing.assert_close(G.synthesis(w), G.synthesis(other))


@every_network
def test_without_labels_nothing_is_added(words: dict[str, Any]) -> None:
    gan = build("dcgan:tiny", (3, 32, 32), **words)
    names = " ".join(gan.state_dict())
    assert "affine" not in names
    assert "projection" not in names
    with refused("generator.takes_no_labels"):
        gan.G(gan.G.seeded([1]), conditions(0))


def test_attributes_condition_as_they_are() -> None:
    gan, config = configured("dcgan:tiny", (3, 16, 16), {"conditional": True}, labels=7, attributes=True)
    model = gan(config)
    y = torch.rand(4, 7)
    assert model.G(model.G.seeded(range(4)), y).shape == (4, 3, 16, 16)
    assert model.D(torch.rand(4, 3, 16, 16), y).shape == (4,)
    assert model.D.projection.embedding.weight.shape == (16, 7)  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", [name for name, gan in gans().items() if gan.takes_labels] + ["r3gan conv"])
def test_a_single_attribute_conditions_by_its_amount(spec: str) -> None:
    """None of it, half and all are three pictures, and three questions to D, which answers none of them with one number."""
    name, _, network = spec.partition(" ")
    words = {"conditional": True} | ({"network": network} if network else {})
    gan, config = configured(f"{name}:tiny", (3, 16, 16), words, labels=1, attributes=True)
    torch.manual_seed(0)
    model = gan(config).eval()
    amounts = torch.tensor([[0.0], [0.5], [1.0]])
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        fakes = model.G(model.G.seeded([5, 5, 5]), amounts)
        scores = torch.stack([model.D(images, amount.expand(4, 1)) for amount in amounts])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (fakes[one] - fakes[other]).abs().max() > 1e-5
        assert (scores[one] - scores[other]).abs().max() > 1e-5
    assert (scores.std(1) > 1e-5).all()

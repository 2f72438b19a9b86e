"""The reader of classes and the score computed from what it reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import refused

from simulacra.measure.inception_score import inception_score, resampled_inception_score
from simulacra.measure.linear_classifier import fit_classifier


def test_the_inception_score_of_known_probabilities() -> None:
    """The number of classes for sure and even stats, 1 for stats that never change, e^(KL) by hand else."""
    assert inception_score(np.tile(np.eye(7), (10, 1))) == pytest.approx(7)
    assert inception_score(np.tile([0.2, 0.5, 0.3], (10, 1))) == pytest.approx(1)
    assert inception_score(np.tile([[1.0, 0], [1, 0], [0, 1]], (5, 1))) == pytest.approx(
        math.exp(-2 / 3 * math.log(2 / 3) - 1 / 3 * math.log(1 / 3))
    )
    kl = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert inception_score(np.array([[0.9, 0.1], [0.1, 0.9]])) == pytest.approx(math.exp(kl))


def test_its_interval_covers_the_score_of_many() -> None:
    source = np.random.default_rng(0)
    many = inception_score(source.dirichlet(np.full(4, 0.3), size=100_000))
    result = [resampled_inception_score(source.dirichlet(np.full(4, 0.3), size=400), seed=i) for i in range(100)]
    assert 0.88 <= np.mean([score.interval().low <= many <= score.interval().high for score in result]) <= 1
    assert result[0].interval().low >= 1


def test_a_reader_learns_what_can_be_told_apart_and_says_how_well() -> None:
    source = np.random.default_rng(1)
    labels = source.integers(0, 3, 400)
    features = source.normal(size=(400, 10)) * np.geomspace(1e-3, 1e3, 10)
    features[:, 0] += 5e-3 * (labels == 1)
    features[:, 9] += 5e3 * (labels == 2)
    features[:, 5] = 7  # never varies
    classifier = fit_classifier(features, labels)
    assert classifier.accuracy.value > 0.95 and classifier.held_out == 80
    assert classifier.accuracy.low < classifier.accuracy.value
    assert classifier.most_common < 0.5
    read = classifier(features)
    assert read.sum(1) == pytest.approx(np.ones(400))
    assert np.mean(read.argmax(1) == labels) > 0.95
    assert (classifier(features) == fit_classifier(features, labels)(features)).all()
    noise = fit_classifier(source.normal(size=(400, 10)), labels)
    assert noise.accuracy.value < 0.5, "what it did not learn from decides"


def test_a_class_without_pictures_is_never_read() -> None:
    source = np.random.default_rng(2)
    labels = source.integers(0, 2, 60) * 2
    classifier = fit_classifier(source.normal(size=(60, 4)) + labels[:, None], labels, classes=4)
    read = classifier(source.normal(size=(5, 4)))
    assert read.shape == (5, 4) and read[:, [1, 3]].max() < 0.1


def test_refusals() -> None:
    x = np.random.default_rng(3).normal(size=(20, 4))
    labels = np.arange(20) % 2
    with refused("measure.label_shape"):
        fit_classifier(x, labels[:10])
    with refused("measure.label_shape"):
        fit_classifier(x, labels.astype(float))
    with refused("measure.label_classes"):
        fit_classifier(x, 0 * labels)
    with refused("measure.too_few", number=9, least=10):
        fit_classifier(x[:9], labels[:9])
    with refused("measure.probabilities"):
        inception_score(np.ones((3, 2)))
    with refused("measure.not_finite"):
        fit_classifier(x, labels)(np.full((2, 4), np.nan))

"""Parts of the report: pictures, walks, alarms, counts and numbers."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pytest
import torch
from support import build

from simulacra.data.opening import open_domain
from simulacra.messages import using
from simulacra.publish.report.formatting import decimals, duration, interval, number, short
from simulacra.publish.report.images import fakes, inlined, sheet, tiles_of, walk_tiles
from simulacra.publish.report.plots import journal_plots
from simulacra.publish.report.tables import alarms, shares
from simulacra.training.curves import thinned
from simulacra.training.health import assess


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_kind_of_picture_is_inlined(channels: int) -> None:
    tiles = tiles_of(torch.rand(5, channels, 6, 10) * 2 - 1)
    assert sheet(tiles, 2).size == (20, 12)  # the fifth has no row to itself
    picture = inlined(sheet(tiles, 5), "five", width=100, quality=80)
    assert (picture.width, picture.height, picture.pixelated) == (100, 12, True)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_walk_goes_from_seed_to_seed(prior: Literal["normal", "uniform"]) -> None:
    generator = build("mlp:tiny", prior=prior).G
    latents: list[torch.Tensor] = []
    generator.register_forward_pre_hook(lambda _, inputs: latents.append(inputs[0]))
    steps = walk_tiles(generator, 3, 8, 5)
    ends = fakes(generator, [3, 8])
    assert np.abs(steps[0].astype(int) - ends[0]).max() <= 1 and np.abs(steps[-1].astype(int) - ends[1]).max() <= 1
    z = latents[0]
    if prior == "normal":  # the middle of the great circle is as far from both ends, and no shorter than the chord's
        assert z[2].norm() > 1.2 * ((z[0] + z[-1]) / 2).norm()
        angles = [torch.cosine_similarity(z[i], z[i + 1], dim=0) for i in range(4)]
        assert max(angles) - min(angles) < 0.05
    else:
        assert torch.allclose(z[2], (z[0] + z[-1]) / 2, atol=1e-6) and z.abs().max() <= 1


def test_alarms_in_a_row_are_one() -> None:
    health: list[dict[str, str]] = [{}, {"a": "1"}, {"a": "2", "b": "x"}, {"b": "y"}, {"a": "3"}]
    lines: list[Any] = [{"nimg": i} | ({"health": verdicts} if verdicts else {}) for i, verdicts in enumerate(health)]
    expected = [("a", 1, 2, "2"), ("b", 2, 3, "y"), ("a", 4, 4, "3")]
    assert [(alarm.name, alarm.begin, alarm.end, alarm.sentence) for alarm in alarms(lines)] == expected
    with using("zh"):  # verdicts of another version cannot be computed again
        assert [alarm.sentence for alarm in alarms(lines)] == ["2", "y", "3"]


def test_sentences_of_alarms_are_computed_again_in_chinese() -> None:
    lines: list[Any] = []
    for i in range(20):
        line = {"nimg": 100 * i, "g_plays": 100 * i, "diversity": 0.5 if i < 10 else 0.02}
        lines.append(line | assess(lines, line, critic=False))
    (english,) = alarms(lines)
    assert english.name == "collapsed" and english.sentence == lines[-1]["health"]["collapsed"]
    with using("zh"):
        (chinese,) = alarms(lines)
        assert chinese.title == "模式崩溃"
    assert chinese.sentence != english.sentence and re.search("[\u4e00-\u9fff]", chinese.sentence)
    assert (chinese.begin, chinese.end) == (english.begin, english.end)


def test_labels_of_ticks_keep_their_decimals() -> None:
    lines: list[Any] = [{"nimg": 1000 * i, "diversity": 0.021 + 0.001 * i} for i in range(5)]
    (plot,) = journal_plots(lines, [], None)
    ticks = re.findall(r">(0\.0\d+)<", plot.svg)
    assert len(ticks) > 3 and len(set(ticks)) == len(ticks)


def test_numbers_read_well() -> None:
    assert [number(v) for v in (None, 1234567, 0.000123456, -1.5, True, "x", float("nan"))] == [
        "–", "1,234,567", "0.0001235", "−1.5", "True", "x", "not a number",
    ]  # fmt: skip
    assert [number(v, 2) for v in (-0.001, -0.006, 1234.5)] == ["0.00", "−0.01", "1,234.50"]
    narrow = {"value": 0.4123, "low": 0.4101, "high": 0.4149}
    assert decimals(narrow) == 4 and interval(narrow, 4) == "0.4101 to 0.4149"
    assert decimals({"value": 130.0, "low": 110.0, "high": 150.0}) == 0
    assert decimals({"value": 0.0, "low": 0.0, "high": 0.0}) == 3 and interval({"value": 1.0}, 2) == ""
    assert [duration(s) for s in (42, 600, 5900, 300_000)] == ["42 s", "10 min", "1 h 38 min", "3 d 11 h"]
    with using("zh"):
        assert interval(narrow, 4) == "0.4101 至 0.4149"
        assert [duration(s) for s in (42, 600, 5900)] == ["42 秒", "10 分钟", "1 小时 38 分钟"]
    assert [short(n) for n in (950, 4000, 245_856, 1_500_000)] == ["950", "4k", "246k", "1.5M"]


def test_thinning_keeps_both_ends() -> None:
    assert thinned(range(3), 5) == [0, 1, 2]
    assert thinned(range(100), 5) == [0, 25, 50, 74, 99]


def test_built_in_people_and_their_attributes_are_counted() -> None:
    kind, rows, more = shares(open_domain("peeps"))
    assert kind == "attributes" and more + len(rows) == 63
    assert rows[0].share >= rows[1].share and rows[0].bar == 100

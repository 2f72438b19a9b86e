from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import stand_in
from PIL import Image
from support import in_memory, labelled, noise, on_disk

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import fork
import outside
import peers
import quality
import recipes
import rows

from simulacra.console import silent
from simulacra.data.opening import open_domain
from simulacra.measure.protocol import SeedProtocol
from simulacra.training import auto


def test_every_row_is_a_gan_a_recipe_or_another_toolkit() -> None:
    data = labelled(noise())
    for name in (*rows.SETTINGS, *rows.RIVALS):
        entry = rows.row(name)
        assert entry.peer == (name in peers.SETTINGS)
        assert entry.peer or not rows.obstacle(entry, data)


def test_other_toolkits_need_squares_with_a_power_of_two_as_side(tmp_path: Path) -> None:
    peer = rows.row("lightweight-gan")
    assert not rows.obstacle(peer, open_domain(on_disk(tmp_path / "square", noise(4))))
    for name, shape in (("oblong", (3, 16, 32)), ("odd", (3, 24, 24))):
        assert "power of two" in rows.obstacle(peer, open_domain(on_disk(tmp_path / name, noise(4, shape))))


def test_a_recipe_is_its_preset_at_another_size() -> None:
    entry = rows.row("wgan-gp-faces80")
    assert entry.gan == "wgan-gp"
    assert entry.settings["balance"] == "adaptive"
    assert "made for 80x80" in rows.obstacle(rows.row("wgan-gp:faces80"), in_memory(noise()))


def test_a_gan_with_labels_is_left_out_without_labels() -> None:
    assert "labels" in rows.obstacle(rows.row("dcgan+labels"), in_memory(noise()))
    assert rows.row("sngan+output=linear").settings == rows.row("sngan").settings | {"output": "linear"}


def test_other_toolkits_see_the_training_pictures_alone(tmp_path: Path) -> None:
    images = noise(12)
    assert peers.export(on_disk(tmp_path / "data", images, valid=3), tmp_path / "png") == (16, 3)
    files = sorted((tmp_path / "png").glob("*.png"))
    assert len(files) == 9
    assert np.array_equal(np.asarray(Image.open(files[8])), images[8])


def test_stored_pictures_take_the_place_of_a_generator(tmp_path: Path) -> None:
    images = noise(10)
    np.save(tmp_path / "drawn.npy", images)
    batches = list(outside.StoredPictures(tmp_path / "drawn.npy").pictures(range(2, 10), batch=5))
    assert [tuple(batch.shape) for batch in batches] == [(5, 3, 16, 16), (3, 3, 16, 16)]
    back = ((batches[0] + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(back, images[2:7])


def test_another_toolkits_pictures_are_scored_as_a_checkpoints(tmp_path: Path) -> None:
    data = in_memory(noise(40))
    protocol = SeedProtocol(data, extractor=stand_in(), on="train", samples=20, reals=40, choosing=True, begin=silent)
    scores = {}
    for name, images in (("reals", data.images[:20]), ("black", np.zeros_like(data.images[:20]))):
        np.save(tmp_path / f"{name}.npy", images)
        scores[name] = outside.moment_scores(tmp_path / f"{name}.npy", protocol, [protocol.lead_metric])
    assert scores["reals"][protocol.leads].resampled.value < scores["black"][protocol.leads].resampled.value


def result(name: str, fd: float) -> dict[str, Any]:
    score = {"value": fd, "low": fd - 1, "high": fd + 1, "floor": 1.5}
    names = (quality.FD, quality.SWD, "precision-efl0d-112", "recall-efl0d-112", "diversity-efl0d-112")
    certificate = {"scores": dict.fromkeys(names, score), "memorisation": {"verdict": "no sign"}}
    named = {"data": "peeps32", "row": name, "seed": 0, "chose": "", "before": 900.0, "images": 6000, "best": 3000}
    return named | {"seconds": 60, "wall": 60, "cpu": 60, "threads": 1, "health": [], "certificate": certificate}


def test_the_table_has_the_best_first_and_its_columns_even() -> None:
    lines = quality.table([result("wgan", 80), result("dcgan", 30)]).splitlines()
    assert ["reals" in line for line in lines] == [False, False, True, False, False]
    assert "`dcgan`" in lines[3]
    assert "| 900 | 30.0 (29.0–31.0) |" in lines[3]
    assert {line.count("|") for line in lines} == {len(quality.COLUMNS) + 1}


def test_another_extractor_gets_a_column(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [result("wgan", 80), result("dcgan", 30)]
    rows[0]["certificate"]["scores"]["fd-inception-2048"] = {"value": 12.5, "low": 12, "high": 13, "floor": 1}
    lines = quality.table(rows).splitlines()
    assert lines[0].endswith("| fd-inception-2048 |") and lines[4].endswith("| 12.5 |") and lines[3].endswith("|  |")
    assert {line.count("|") for line in lines} == {len(quality.COLUMNS) + 2}


def test_a_row_of_earlier_scores_is_not_finished(tmp_path: Path) -> None:
    row: dict[str, Any] = result("wgan", 80)
    done = tmp_path / "row.json"
    assert not quality.scored(done)
    done.write_text(json.dumps(row))
    assert quality.scored(done)
    del row["certificate"]["scores"][quality.FD]
    done.write_text(json.dumps(row))
    assert not quality.scored(done)


def test_recipes_change_what_auto_chooses() -> None:
    data = labelled(noise())
    plain = recipes.Trial(data, "auto", 5, 1)
    assert plain.options() == {"seed": 1, "measure_every": 0}
    softer = recipes.Trial(data, "gamma/4+bare", 5, 1)
    chosen = auto.choose(data.split("train"), torch.device("cpu")).settings
    assert softer.options()["settings"] == dict(chosen) | {"augment": "none", "gamma": [e / 4 for e in chosen["gamma"]]}
    assert softer.name.endswith("-gamma_4+bare-5min-1")
    faster = {key: value for key, value in chosen.items() if key != "lr_d"} | {"lr": "3e-3"}
    assert recipes.Trial(data, "lr=3e-3", 5, 1).options()["settings"] == faster
    assert recipes.Trial(data, "start", 5, 1).options() == plain.options() | {"pretrained": "bundled"}


def test_a_recipe_is_ranked_by_both_judges() -> None:
    def row(fd: float, swd: float) -> dict[str, Any]:
        return {"scores": {"train": {quality.FD: {"value": fd}, quality.SWD: {"value": swd}}}}

    assert recipes.rank([row(4, 0.25)]) == pytest.approx(0)
    assert recipes.rank([row(2, 0.2), row(8, 0.2)]) == pytest.approx(recipes.rank([row(4, 0.2)]))


# --- forks ----------------------------------------------------------------------------------------------------------


def test_a_paired_difference_is_known_better_where_forks_share_their_parent_s_luck() -> None:
    luck = [3.0, -1.0, 4.0, 0.0]
    result = fork.variances({"same": luck, "changed": [value + 1 + 0.1 * (-1) ** i for i, value in enumerate(luck)]})
    assert result["difference"] == pytest.approx(1) and result["ratio"] > 100
    assert result["independent"] == pytest.approx(2 * np.var(luck, ddof=1), rel=0.1)


def test_forks_are_trained_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is trained again by the same command."""
    monkeypatch.setattr(fork, "open_extractor", stand_in)
    data = on_disk(tmp_path / "data", noise(24))
    options: dict[str, Any] = {"parents": 1, "begin": 8, "total": 16, "gan": "mlp:tiny", "samples": 20, "batch": 8}
    scores = fork.scores_of_forks(data, tmp_path / "out", change=["lr=1e-2"], **options)
    assert len(scores["same"]) == len(scores["changed"]) == 1 and scores["same"] != scores["changed"]
    assert fork.scores_of_forks(data, tmp_path / "out", change=["lr=1e-2"], **options) == scores

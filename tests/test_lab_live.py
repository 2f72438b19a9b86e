"""The experiments of the lab's page: the same training as `simulacra lab`, presets with their modes, and hostile requests."""

from __future__ import annotations

import base64
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from starlette.testclient import TestClient
from support import refused

from simulacra.errors import SimulacraError
from simulacra.explore.worker import Worker
from simulacra.lab.api import OPENED
from simulacra.lab.experiment import build_trainer
from simulacra.lab.live import CONTROLS, MOST_STEPS, LiveExperiment
from simulacra.lab.plane import PlaneExperiment, supported
from simulacra.lab.presets import PRESETS
from simulacra.lab.server import application
from simulacra.messages import using

QUICK: dict[str, Any] = {"hidden": "16", "batch": 16}
EXPERIMENTS = "/api/lab/experiments"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The lab's API."""
    worker = Worker()
    with TestClient(application(worker), base_url="http://127.0.0.1") as opened:
        yield opened
    worker.stop()


def points(frame: dict[str, Any]) -> NDArray[np.float32]:
    """The fakes of a frame [1000, 2]."""
    return np.frombuffer(base64.b64decode(frame["fakes"]), "<f4").reshape(-1, 2)


def field(frame: dict[str, Any]) -> NDArray[np.uint8]:
    """D's field of a frame."""
    return np.frombuffer(base64.b64decode(frame["field"]), np.uint8).reshape(48, 48)


# --- the same training as everywhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "gan"), [("ring", "mlp"), ("roll", "wgan-gp"), ("grid", "r3gan")])
def test_the_page_trains_as_the_command_does(target: str, gan: str) -> None:
    experiment = PlaneExperiment(target)
    trainer = build_trainer(experiment, gan, QUICK, folder=Path("lab"), seed=3)
    for _ in range(24):
        trainer.step()
    live = LiveExperiment(target, gan, QUICK, 3)
    for steps in (10, 1, 0, 13):  # however they are divided into requests
        frame = live.advance(steps, "turn", {})
    for one, other in zip(trainer.gan.state_dict().values(), live.trainer.gan.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert frame["scores"] == experiment.evaluate(trainer)
    np.testing.assert_array_equal(points(frame), experiment.snapshots[-1].fakes[:1000])
    assert frame["command"] == f"simulacra lab {target} --gan {gan} hidden=16 batch=16 --plays 24 --seed 3"


def test_a_round_ends_with_a_step_of_g_and_one_player_can_step_alone() -> None:
    live = LiveExperiment("ring", "wgan-gp", QUICK, 0)
    assert live.advance(1, "round", {})["steps"] == {"D": 5, "G": 1}
    live.advance(2, "turn", {})
    assert live.advance(1, "round", {})["steps"] == {"D": 10, "G": 2}
    before = {name: [p.clone() for p in live.trainer.networks[name].parameters()] for name in "GD"}
    frame = live.advance(3, "D", {})
    assert frame["steps"] == {"D": 13, "G": 2} and frame["command"] is None
    moved = {
        name: any(not torch.equal(*pair) for pair in zip(old, live.trainer.networks[name].parameters(), strict=True))
        for name, old in before.items()
    }
    assert moved == {"D": True, "G": False}
    assert live.advance(2, "G", {})["steps"] == {"D": 13, "G": 4}
    assert frame["next"] == "D" and live.trainer.balance.turn == 12, "whose turn it is stays"


def test_a_round_under_an_adaptive_balance_ends() -> None:
    live = LiveExperiment("ring", "mlp", QUICK | {"balance": "adaptive"}, 0)
    frame = live.advance(2, "round", {})
    assert frame["steps"]["G"] <= 2 and sum(frame["steps"].values()) <= 2 * MOST_STEPS


@pytest.mark.parametrize("gan", supported())
def test_a_rate_changes_at_the_next_step_as_if_it_had_been_the_setting(gan: str) -> None:
    """Before the first step a changed rate is the setting itself; D follows lr until it has a rate of its own."""
    changed, fresh = LiveExperiment("ring", gan, QUICK, 0), LiveExperiment("ring", gan, QUICK | {"lr": "5e-4"}, 0)
    changed.advance(0, "turn", {"lr": 5e-4})
    assert changed.trainer.rates == {player: pytest.approx(rates) for player, rates in fresh.trainer.rates.items()}
    frame, other = changed.advance(8, "turn", {}), fresh.advance(8, "turn", {})
    np.testing.assert_allclose(points(frame), points(other), atol=1e-6)
    assert frame["rates"] == {"D": 5e-4, "G": 5e-4} and frame["command"] == other["command"].replace("5e-4", "0.0005")
    after = changed.advance(1, "turn", {"lr_d": "1e-3"})
    assert after["rates"] == {"D": 1e-3, "G": 5e-4} and after["command"] is None
    with refused("lab.no_control"):
        changed.advance(1, "turn", {"batch": 8})


# --- presets ----------------------------------------------------------------------------------------------------------


def modes_after(preset: str, seed: int, steps: tuple[int, ...]) -> list[int]:
    """Modes that G covers after so many steps of a preset."""
    chosen = PRESETS[preset]
    live, frames = LiveExperiment(chosen.target, chosen.gan, chosen.settings, seed), []
    for number in steps:
        while (done := sum(live.trainer.steps.values())) < number:
            frame = live.advance(min(100, number - done), "turn", {})
        frames.append(frame["scores"]["now"]["modes"])
    return frames


def test_the_preset_of_mode_collapse_collapses_and_the_other_cures_it() -> None:
    """With another seed than theirs, which the page's test takes."""
    assert max(modes_after("collapse", 1, (300, 400, 500))) <= 2
    assert modes_after("cure", 1, (500,)) >= [6]


def test_a_faster_d_brings_the_modes_back_without_a_restart() -> None:
    """As the sentence on the cure says: within about 1,000 steps."""
    collapse, cure = PRESETS["collapse"], PRESETS["cure"]
    live = LiveExperiment(collapse.target, collapse.gan, collapse.settings, collapse.seed)
    before = [live.advance(100, "turn", {}) for _ in range(5)][-1]
    live.advance(0, "turn", cure.settings)
    after = [live.advance(200, "turn", {}) for _ in range(5)][-1]
    assert before["scores"]["now"]["modes"] <= 2 and after["scores"]["now"]["modes"] >= 5
    assert after["rates"] == {"D": 2e-3, "G": 2e-3}


def test_the_presets_differ_in_the_rate_of_d_alone() -> None:
    collapse, cure = PRESETS["collapse"], PRESETS["cure"]
    assert (collapse.target, collapse.gan, collapse.seed) == (cure.target, cure.gan, cure.seed)
    assert list(collapse.settings) == list(cure.settings) == ["lr_d"]


# --- the API ----------------------------------------------------------------------------------------------------------


def opened(client: TestClient, **content: Any) -> dict[str, Any]:
    """A new experiment's description."""
    answer = client.post(EXPERIMENTS, json={"target": "ring", "gan": "mlp", "settings": QUICK} | content)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_same_clicks_give_the_same_points(client: TestClient) -> None:
    clicks = [(10, "turn", {}), (1, "round", {}), (1, "D", {}), (5, "turn", {"lr": 1e-3}), (2, "G", {})]
    frames = []
    for seed in (0, 0, 1):
        name = opened(client, seed=seed)["id"]
        for steps, of, rates in clicks:
            answer = client.post(f"{EXPERIMENTS}/{name}", json={"steps": steps, "of": of, "settings": rates})
        frames.append(answer.json())
    assert frames[0] == frames[1] and frames[0]["fakes"] != frames[2]["fakes"]
    assert frames[0]["losses"]["D"] is None, "D made no step since the last frame"


def test_the_field_is_d_on_the_mesh() -> None:
    live = LiveExperiment("ring", "mlp", QUICK, 0)
    frame = live.advance(20, "turn", {})
    corner = torch.tensor([2.7, -2.7]).view(1, 2, 1, 1)  # the last column of the first row from below
    with torch.no_grad():
        share = float(live.trainer.gan.D(corner).sigmoid())
    assert field(frame)[0, -1] == round(255 * share)
    critic = LiveExperiment("ring", "wgan", QUICK, 0).advance(20, "turn", {})
    assert (field(critic).min(), field(critic).max()) == (0, 255)


def test_every_control_has_its_sentence_in_both_languages(client: TestClient) -> None:
    for gan in supported():
        names = []
        for language, letters in (("en", "[a-z]"), ("zh", "[\u4e00-\u9fff]")):
            answer = client.post(
                EXPERIMENTS, json={"target": "ring", "gan": gan}, headers={"accept-language": language}
            ).json()
            assert all(re.search(letters, control["text"]) for control in answer["controls"])
            names.append([control["name"] for control in answer["controls"]])
        assert names[0] == names[1] and {"lr", "lr_d", "batch", "hidden", "z"} <= set(names[0]) <= set(CONTROLS)
    of_gans = {gan: {control["name"] for control in opened(client, gan=gan)["controls"]} for gan in supported()}
    assert "loss" in of_gans["mlp"] and "clamp" in of_gans["wgan"] and "gp" in of_gans["wgan-gp"]
    assert "gamma" in of_gans["r3gan"] and "smoothing" not in of_gans["wgan"]


def test_few_experiments_are_in_memory_and_the_oldest_makes_room(client: TestClient) -> None:
    first = opened(client)["id"]
    others = [opened(client)["id"] for _ in range(OPENED)]
    answer = client.post(f"{EXPERIMENTS}/{first}", json={"steps": 1})
    assert answer.status_code == 404 and answer.json()["code"] == "lab.closed"
    assert client.get(f"{EXPERIMENTS}/{others[0]}").json()["target"] == "ring"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"target": "rong"}, "lab.unknown_target"),
        ({"target": "distances"}, "lab.unknown_target"),
        ({"target": 7}, "explore.empty_text"),
        ({"gan": "mpl"}, "lab.unknown_gan"),
        ({"gan": "mlp:minimax"}, "lab.unknown_gan"),
        ({"gan": "/etc/passwd.py:Class"}, "lab.unknown_gan"),
        ({"gan": "stylegan2"}, "lab.not_fully_connected"),
        ({"seed": -1}, "explore.out_of_range"),
        ({"seed": 1.5}, "explore.not_whole"),
        ({"seed": 2**64}, "explore.out_of_range"),
        ({"settings": [1]}, "explore.not_an_object"),
        ({"settings": {"shape": "3,64,64"}}, "lab.no_control"),
        ({"settings": {"lr": "fast"}}, "config.not_a_number"),
        ({"settings": {"lr": -1}}, "config.not_positive"),
        ({"settings": {"lr": 0}}, "config.not_positive"),
        ({"settings": {"lr": [1, 2]}}, "config.not_a_number"),
        ({"settings": {"lr": 10**400}}, "config.not_a_number"),
        ({"settings": {"batch": 0}}, "config.less_than_1"),
        ({"settings": {"batch": 1e9}}, "lab.too_large"),
        ({"settings": {"hidden": "9999"}}, "lab.too_large"),
        ({"settings": {"hidden": "8,8,8,8,8"}}, "lab.too_many_layers"),
        ({"settings": {"hidden": ""}}, "config.not_whole"),
        ({"settings": {"hidden": "8," * 900}}, "config.not_whole"),
        ({"settings": {"z": 1e300}}, "lab.too_large"),
        ({"settings": {"balance": "fixed:0"}}, "train.unknown_balance"),
        ({"settings": {"loss": "hinge"}}, "config.not_a_choice"),
        ({"settings": {"gp": 1}}, "config.unknown_setting"),
        ({"setings": {}}, "explore.unknown_key"),
    ],
)
def test_hostile_experiments_are_one_sentence(client: TestClient, content: dict[str, Any], code: str) -> None:
    body = json.dumps({"target": "ring", "gan": "mlp"} | content)
    for language in ("en", "zh"):
        answer = client.post(EXPERIMENTS, content=body, headers={"accept-language": language})
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
        assert language == "en" or re.search("[\u4e00-\u9fff]", answer.json()["error"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"steps": MOST_STEPS + 1}, "explore.out_of_range"),
        ({"steps": -1}, "explore.out_of_range"),
        ({"steps": "1"}, "explore.not_whole"),
        ({}, "explore.out_of_range"),
        ({"steps": 1, "of": "both"}, "lab.unknown_steps"),
        ({"steps": 1, "settings": {"lr": "nan"}}, "config.not_a_number"),
        ({"steps": 1, "settings": {"lr": -2}}, "config.not_positive"),
        ({"steps": 1, "settings": {"hidden": "8"}}, "lab.no_control"),
    ],
)
def test_hostile_steps_are_one_sentence_and_change_nothing(
    client: TestClient, content: dict[str, Any], code: str
) -> None:
    name = opened(client)["id"]
    before = client.post(f"{EXPERIMENTS}/{name}", json={"steps": 2}).json()
    answer = client.post(f"{EXPERIMENTS}/{name}", json=content)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    after = client.post(f"{EXPERIMENTS}/{name}", json={"steps": 0}).json()
    assert (after["fakes"], after["rates"]) == (before["fakes"], before["rates"])


@given(
    st.sampled_from(supported()),
    st.dictionaries(
        st.sampled_from(CONTROLS),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(10**6), 10**6),
            st.floats(),
            st.text(max_size=8),
            st.lists(st.floats(), max_size=3),
        ),
        max_size=3,
    ),
)
@settings(max_examples=60, deadline=None)
def test_no_setting_is_a_fault(gan: str, given_settings: dict[str, Any]) -> None:
    """Whatever a request holds is trained with, or refused in a sentence; frames hold finite numbers."""
    try:
        live = LiveExperiment("ring", gan, {"hidden": "8", "batch": 4} | given_settings, 0)
        frame = live.advance(4, "turn", {})
    except SimulacraError as error:
        with using("zh"):
            assert re.search("[\u4e00-\u9fff]", str(error))
        return
    json.dumps(frame, allow_nan=False)
    assert np.isfinite(points(frame)).all()


@pytest.mark.parametrize("gan", supported())
def test_training_that_diverges_is_said_again_and_again(gan: str) -> None:
    live = LiveExperiment("ring", gan, QUICK | {"lr": "1e38"}, 0)
    for _ in range(2):
        with refused("lab.diverged"):
            live.advance(200, "turn", {})


@pytest.mark.parametrize("gan", supported())
def test_a_batch_of_one_point_is_enough(gan: str) -> None:
    frame = LiveExperiment("grid", gan, {"batch": 1, "hidden": "4"}, 0).advance(14, "turn", {})
    assert sum(frame["steps"].values()) == 14


# --- the parallel lines -----------------------------------------------------------------------------------------------


def test_the_slider_finds_log_2_without_a_slope_and_a_falling_w(client: TestClient) -> None:
    answer = client.get("/api/lab/distances").json()
    gaps = np.array(answer["gaps"])
    apart = np.abs(gaps) >= 0.5
    np.testing.assert_allclose(np.array(answer["js"]["values"])[apart], math.log(2), atol=1e-5)
    np.testing.assert_allclose(np.array(answer["js"]["slopes"])[apart], 0, atol=1e-4)
    np.testing.assert_allclose(answer["w"]["values"], np.abs(gaps), atol=1e-6)
    np.testing.assert_allclose(np.array(answer["w"]["slopes"])[apart], np.sign(gaps[apart]), atol=1e-6)


def test_descents_from_any_gap(client: TestClient) -> None:
    answer = client.get("/api/lab/distances/descents?gap=-0.8").json()
    assert answer["js"][0] == answer["w"][0] == -0.8
    assert answer["js"][-1] == pytest.approx(-0.8, abs=1e-6) and abs(answer["w"][-1]) < 0.02
    for gap in ("", "nan", "inf", "3", "x"):
        assert client.get(f"/api/lab/distances/descents?gap={gap}").json()["code"] == "lab.bad_gap"


# --- the command and the studio ---------------------------------------------------------------------------------------


def test_page_stands_alone_on_the_command_line(run_cli: Any) -> None:
    status, _, err = run_cli("lab", "ring", "--page")
    assert status == 1 and "leave out the other words" in err


def test_the_library_needs_no_torch_for_the_lab(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from simulacra.studio.server import Studio\n"
        "from starlette.testclient import TestClient\n"
        "client = TestClient(Studio(Path(sys.argv[1])).application(), base_url='http://127.0.0.1')\n"
        "assert 'lab.js' in client.get('/lab').text and client.get('/lab/lab.js').status_code == 200\n"
        "assert client.get('/').status_code == 200 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

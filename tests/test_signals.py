"""A run that is told to stop, at any moment and by any signal, saves what there is and says how to continue."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support import Cli, noise, on_disk

from simulacra.errors import SimulacraError
from simulacra.files import read_json
from simulacra.storage import checkpoints, model_folder
from simulacra.training.journal import read_journal
from simulacra.training.session import stop_on_signal
from simulacra.training.terminal import TerminalObserver
from simulacra.training.trainer import Trainer

WORDS = (
    "--gan",
    "mlp:tiny",
    "--every",
    "48",
    "--save-every",
    "48",
    "--precision",
    "fp32",
    "--device",
    "cpu",
    "batch=8",
)
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return on_disk(tmp_path / "tiny", noise(24))


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_before_the_first_journal_line_saves(
    number: signal.Signals, data: Path, tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, step = tmp_path / "run", Trainer.step

    def step_and_stop(trainer: Trainer) -> None:
        step(trainer)
        if trainer.nimg == 16:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step_and_stop)
        status, out, err = run_cli("train", data, "--run", run, "--total", "96", *WORDS)
    assert status == 130, err
    assert f"simulacra train {run}" in out
    assert [int(path.name) for path in checkpoints(run)] == [16]
    assert not read_journal(run / "journal.jsonl")
    assert run_cli("train", run)[0] == 0
    assert int(checkpoints(run)[-1].name) == 96


def test_a_signal_before_the_first_step_has_nothing_to_save(
    data: Path, tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, started = tmp_path / "run", TerminalObserver.started

    def start_and_stop(observer: TerminalObserver, started_run: object) -> None:
        started(observer, started_run)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TerminalObserver, "started", start_and_stop)
        status, out, _ = run_cli("train", data, "--run", run, "--total", "96", *WORDS)
    assert status == 130 and "nothing to save" in out and "Saved" not in out
    with pytest.raises(SimulacraError):
        model_folder(run)
    assert run_cli("train", run)[0] == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_under_nohup_a_run_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signal(lambda: None) as should_stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not should_stop()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_more_ctrl_c_while_it_ends_is_silent(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulacra import catalogue, cli

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "list_gans", interrupted)
    monkeypatch.setattr("sys.argv", ["simulacra", "list"])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == 130
    assert "stopped" in capfd.readouterr().err


def test_a_shorter_length_than_reached_says_just_that(data: Path, tmp_path: Path, run_cli: Cli) -> None:
    run = tmp_path / "run"
    assert run_cli("train", data, "--run", run, "--total", "48", *WORDS)[0] == 0
    length = read_json(run / "config.json")["length"]
    status, out, _ = run_cli("train", run, "--total", "16")
    assert status == 0 and "at 48 images already, beyond the length asked for" in out
    assert read_json(run / "config.json")["length"] == length
    status, out, _ = run_cli("train", run)
    assert status == 0 and "has already reached its length" in out

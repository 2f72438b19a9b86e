"""What other systems lack or refuse, emulated: forks, `resource`, syncing what is open for reading, colons in names."""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import Cli, noise, on_disk, prepared

from simulacra.data import writing
from simulacra.data.opening import open_domain

pytestmark = pytest.mark.usefixtures("coarse_extractor")
RESERVED = set('<>:"|?*')  # in names on Windows


def refuses(path: Any) -> bool:
    """Whether Windows refuses a path: a reserved letter, or a name that ends with a dot or a space."""
    if not isinstance(path, str | Path):
        return False
    return any(RESERVED & set(part) or part[-1:] in ". " for part in Path(path).parts if part not in (".", ".."))


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A system like Windows, as far as files and processes go; the names that were written, folded to one case."""
    monkeypatch.setattr(writing, "FORKS", False)
    monkeypatch.setitem(sys.modules, "resource", None)
    written = list[str]()
    fsync = os.fsync

    def strict_fsync(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        fsync(handle)

    def guarded(function: Callable[..., Any], *places: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            for place in places:
                if refuses(arguments[place]):
                    raise OSError(errno.EINVAL, "Invalid argument", str(arguments[place]))
            written.append(str(arguments[places[-1]]))
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", strict_fsync)
    for name, places in {"mkdir": (0,), "open": (0,), "rename": (0, 1), "replace": (0, 1)}.items():
        monkeypatch.setattr(os, name, guarded(getattr(os, name), *places))
    monkeypatch.setattr(io, "open", guarded(io.open, 0))
    monkeypatch.setattr(builtins, "open", guarded(builtins.open, 0))
    return written


def test_the_emulation_refuses_what_windows_refuses(windows: list[str], tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    for write in (
        lambda: (tmp_path / "a:b").mkdir(),
        lambda: (tmp_path / "a:b").write_text(""),
        lambda: (tmp_path / "plain").rename(tmp_path / "what?"),
    ):
        with pytest.raises(OSError, match="Invalid argument"):
            write()
    with (tmp_path / "plain").open("rb") as file, pytest.raises(OSError, match="Bad file"):
        os.fsync(file.fileno())
    assert windows


def test_the_whole_way_without_what_windows_lacks(
    windows: list[str], run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, pixels in enumerate(noise(40, (3, 16, 16))):
        folder = tmp_path / "pictures" / ("Cats" if i % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    words = ("--gan", "dcgan:tiny", "--total", "80", "--save-every", "40", "conditional=true")
    ways: list[tuple[object, ...]] = [
        ("prepare", "pictures", "data", "--size", "16", "--workers", "2"),
        ("train", "data", *words),
        ("train", "runs/data-dcgan-tiny", "--total", "120"),
        ("sample", "runs/data-dcgan-tiny", "drawn", "--by-label"),
        ("evaluate", "runs/data-dcgan-tiny", "--samples", "30", "--metrics", "fd"),
        ("report", "runs/data-dcgan-tiny"),
    ]
    for way in ways:
        status, _, err = run_cli(*way)
        assert status == 0, (way, err)
    line = json.loads((tmp_path / "runs/data-dcgan-tiny/journal.jsonl").read_text().splitlines()[-1])
    assert "memory_mib" not in line and line["nimg"] == 120
    inside = set(map(str, tmp_path.rglob("*")))
    assert len({path.casefold() for path in inside}) == len(inside), "names that differ by case alone are one there"


def test_threads_decode_what_processes_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, pixels in enumerate(noise(30, (3, 16, 16))):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i}.png")
    whole = prepared(tmp_path / "pictures", tmp_path / "forked", workers=2)
    monkeypatch.setattr(writing, "FORKS", False)
    assert prepared(tmp_path / "pictures", tmp_path / "threads", workers=2).hash == whole.hash


def test_a_script_without_a_guard_prepares_without_forks(tmp_path: Path) -> None:
    """Spawned workers would run it again, and again."""
    on_disk(tmp_path / "given", noise(40, (3, 8, 8)))
    np.save(tmp_path / "pictures.npy", open_domain(tmp_path / "given").images)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import simulacra
        from simulacra.data import writing

        writing.FORKS = False
        print("begun")
        simulacra.prepare(sys.argv[1], sys.argv[2], size=8, workers=2)
        """)
    )
    words = [sys.executable, str(script), str(tmp_path / "pictures.npy"), str(tmp_path / "out")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.count("begun")) == (0, 1), ended.stderr
    assert len(open_domain(tmp_path / "out")) == 40

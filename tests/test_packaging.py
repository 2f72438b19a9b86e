"""What is installed and what a source distribution holds; the module, the completion, and the tests' own hooks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import simulacra

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORED = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "node_modules", "*.egg-info", "runs", "samples", "build"
)


def run(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("module", ["simulacra", "simulacra.cli"])
def test_the_package_is_a_command(module: str) -> None:
    assert run("-m", module, "--version").stdout.strip() == simulacra.__version__


def test_completion_names_the_commands_and_their_options() -> None:
    from simulacra.cli import app

    script = app.generate_completion(shell="bash")
    assert all(word in script for word in ("_simulacra()", "prepare", "train", "explore", "--minutes"))


def test_completion_is_installed_where_the_shell_looks(tmp_path: Path) -> None:
    target = tmp_path / "completion"
    done = run(
        "-m", "simulacra", "--install-completion", "--shell", "bash", "--output", str(target), HOME=str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert "train" in target.read_text()


def test_the_wheel_holds_every_data_file_of_the_package() -> None:
    globs = PROJECT["tool"]["setuptools"]["package-data"]["simulacra"]
    package = ROOT / "simulacra"
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    matched = {path for glob in globs for path in package.glob(glob) if path.is_file()}  # as setuptools reads **
    assert matched == set(files)


@pytest.mark.skipif(find_spec("setuptools") is None, reason="no setuptools to build with")
def test_the_source_distribution_holds_what_the_tests_need(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=IGNORED)
    script = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    done = run("-c", script, cwd=source)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.split()[-1]) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    rooms = ("simulacra", "tests", "scripts", "benchmarks", "docs")
    files = [path for room in rooms for path in (source / room).rglob("*") if path.is_file()]
    files += [source / name for name in ("Makefile", "constraints.txt", "README.zh.md", "LICENSE", ".ci/run")]
    assert not {path.relative_to(source).as_posix() for path in files} - names


@pytest.mark.parametrize(
    ("required", "outcomes"),
    [("", {"skipped": 3}), ("1", {"skipped": 1, "failed": 1, "errors": 1})],
)
def test_a_skipped_browser_test_fails_where_a_browser_is_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("SIMULACRA_REQUIRE_BROWSER", required)
    monkeypatch.setenv("SIMULACRA_CACHE", os.environ["SIMULACRA_CACHE"])  # restores what the inner session sets
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = browser")
    pytester.makepyfile("""
        import pytest

        @pytest.mark.browser
        @pytest.mark.skipif(True, reason="no Chromium")
        def test_mark(): ...

        @pytest.mark.browser
        def test_call():
            pytest.skip("no axe")

        def test_other():
            pytest.skip("no GPU")
    """)
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    result.assert_outcomes(**outcomes)
    assert result.ret == (1 if required else 0)
    result.stdout.fnmatch_lines(["*1  no GPU"])
    result.stdout.fnmatch_lines(["*no Chromium*"])


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "simulacra.__version__"}
    assert f"\nversion: {simulacra.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {simulacra.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_documented_floors_are_those_of_the_project() -> None:
    project = PROJECT["project"]
    extras = [word for words in project["optional-dependencies"].values() for word in words]
    floors = [tuple(re.split(">=|==", word)) for word in project["dependencies"] + extras if "simulacra[" not in word]
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \|", (ROOT / "docs" / "versions.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(floors)

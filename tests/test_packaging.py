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
import yaml
from packaging.requirements import Requirement

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
    rooms = ("simulacra", "tests", "scripts", "benchmarks", "docs", ".github")
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


def test_the_constraints_name_what_make_test_installs_above_the_floors() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    words = [word for extra, words in extras.items() if extra != "inception" for word in words]
    direct = [Requirement(word) for word in PROJECT["project"]["dependencies"] + words if "simulacra[" not in word]
    pins = re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [name for name, _ in pins] == sorted({name for name, _ in pins})
    versions = dict(pins)
    assert [str(word) for word in direct if versions.get(word.name, "0") not in word.specifier] == []


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid_and_holds_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    flow = yaml.safe_load(text)
    assert flow["name"] == path.stem
    assert flow[True]  # YAML reads the key `on` as true
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] > 0
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
        assert all("@" in step.get("uses", "@") for step in job["steps"])
        targets = [word for step in job["steps"] for word in re.findall(r"\bmake (\S+)", step.get("run", ""))]
        assert set(targets) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "secrets." not in text


def test_a_release_is_uploaded_for_a_tag_alone() -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    build, publish = flow["jobs"]["build"], flow["jobs"]["publish"]
    assert "make release" in [step.get("run") for step in build["steps"]]
    assert not any("publish" in step.get("uses", "") for step in build["steps"])
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert publish["needs"] == "build"


def make_environment(tmp_path: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Make `.ready` with fake programs, shell scripts by name; what they were called with is in `calls`."""
    for name, script in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n{script}\n')
        program.chmod(0o755)
    words = ["make", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/.ready", f"PYTHON={tmp_path}/bin/python3"]
    path = f"{tmp_path}/bin{os.pathsep}/usr/bin{os.pathsep}/bin"
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | {"PATH": path}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


VENV = 'case "$*" in *venv*) mkdir -p {0}/venv/bin; cp {0}/bin/python3 {0}/venv/bin/python; esac'
needs_make = pytest.mark.skipif(not Path("/usr/bin/make").exists(), reason="no make")


@needs_make
@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("exit 1", "simulacra needs Python 3.11 or newer"),
        ('case "$*" in *ensurepip*) exit 1;; *config*) echo index-url=x;; esac', "lacks the venv module"),
    ],
)
def test_make_says_in_a_sentence_what_is_missing(tmp_path: Path, python: str, sentence: str) -> None:
    done = make_environment(tmp_path, python3=python)
    assert done.returncode
    said, *rest = done.stderr.splitlines()
    assert sentence in said
    assert all(line.startswith("make: ") for line in rest)


@needs_make
@pytest.mark.parametrize(("settings", "installer"), [("", "uv pip install"), ("index-url=x", "-m pip install")])
def test_make_uses_uv_unless_pip_has_settings(tmp_path: Path, settings: str, installer: str) -> None:
    python = f'case "$*" in *config*) echo {settings};; esac\n{VENV.format(tmp_path)}'
    done = make_environment(tmp_path, python3=python, uv=VENV.format(tmp_path))
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if " install " in call] == [call for call in calls if installer in call] != []
    assert ("uv" in {call.split()[0] for call in calls}) == (settings == "")


@pytest.mark.parametrize("end", ["", ".zh"])
def test_the_page_about_installing_names_every_extra(end: str) -> None:
    page = (ROOT / "docs" / "start" / f"install{end}.md").read_text(encoding="utf-8")
    assert [extra for extra in PROJECT["project"]["optional-dependencies"] if f"`{extra}`" not in page] == []

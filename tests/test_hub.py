"""Models of the Hub by name, `hub:OWNER/NAME@REVISION`, and uploads: against a small Hub on this machine."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import TOKEN, FakeHub, Files, free_port, serving
from publishing import HOME, PHOTO, RUN, files_of, make_run
from support import Cli, refused
from torch import equal

import simulacra
from simulacra import hub
from simulacra.explore.library import Library
from simulacra.generator import Generator
from simulacra.latent.encoder import encoder_file
from simulacra.latent.saved import directions_by_name, directions_file, rename_direction
from simulacra.measure.picture_sets import open_set
from simulacra.publish.hub.upload import publish
from simulacra.storage import fingerprint, load_generator, model_folder
from simulacra.training.pretrained import is_source

pytest.importorskip("huggingface_hub", reason="needs the extra: pip install 'simulacra[hub]'")

NAME = "me/faces"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that can be published."""
    return make_run(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def files(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of its publication."""
    out = tmp_path_factory.mktemp("folder") / "out"
    publish(run, NAME, license="mit", out=out, dry_run=True)
    return files_of(out)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    """A Hub."""
    with serving() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    """The Hub without any repositories; the user has no token and an empty cache."""
    for state in (server.commits, server.branches, server.requests, server.served, server.gated, server.sizes):
        state.clear()
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    return server


def restart(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """What a new process knows: nothing but the cache."""
    monkeypatch.setattr(hub, "_resolved", {})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def same_pictures(a: Generator, b: Generator) -> bool:
    """Whether two generators draw the same pictures to the bit."""
    return all(equal(x, y) for x, y in zip(a.pictures(range(5)), b.pictures(range(5)), strict=True))


def downloads(fake: FakeHub) -> set[str]:
    """The files that were asked for."""
    return {path.split("/resolve/")[1].split("/", 1)[1] for _, path in fake.requests if "/resolve/" in path}


# --- publish ----------------------------------------------------------------------------------------------------------


def test_published_and_loaded_it_draws_the_same_pictures(
    fake: FakeHub, run: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    status, out, err = run_cli("publish", run, "--to", NAME, "--license", "cc-by-4.0", "--out", tmp_path / "out")
    assert status == 0, err
    commit = fake.branches[NAME]["main"]
    assert f"{fake.endpoint}/{NAME}/commit/{commit}" in out and f"hub:{NAME}@{commit}" in out
    assert fake.files(NAME) == files_of(tmp_path / "out")
    name = f"hub:{NAME}"
    assert same_pictures(load_generator(run), load_generator(name))
    assert fingerprint(name) == fingerprint(run) and directions_by_name(name).keys() == {"warmer"}
    assert simulacra.cascade.factors(name) == [2]
    wanted = {"G.safetensors", "certificate.json", "config.json", "directions.safetensors"}
    assert downloads(fake) == wanted | {"upscale/x2/G.safetensors", "upscale/x2/config.json"}
    status, _, err = run_cli("sample", name, tmp_path / "pictures", "--seeds", "0-3", "--size", "32")
    assert status == 0 and len(list((tmp_path / "pictures").glob("*.png"))) == 4, err


def test_what_an_earlier_publication_left_is_deleted(
    fake: FakeHub, run: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.commit(NAME, {"D.safetensors": b"D", "upscale/x4/config.json": b"{}", "my notes.txt": b"notes"})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    published = publish(run, NAME, license="mit")
    assert fake.files(NAME).keys() == files.keys() | {"my notes.txt"}
    assert published.name == f"hub:{NAME}@{fake.branches[NAME]['main']}" and not published.evaluate


def test_a_space_shows_the_model_beside_it(
    fake: FakeHub, run: Path, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra: pip install 'simulacra[onnx]'")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    words = ("publish", run, "--to", NAME, "--license", "mit", "--space", "--out", tmp_path / "out")
    status, out, err = run_cli(*words)
    assert status == 0 and f"{fake.endpoint}/spaces/{NAME}/commit/" in out, err
    files = fake.files(f"spaces/{NAME}")
    assert files == files_of(tmp_path / "out-space") and fake.files(NAME) == files_of(tmp_path / "out")
    assert files.keys() == {"README.md", "certificate.json", "index.html", "model.onnx"}
    head = files["README.md"].decode()
    assert 'sdk: "static"' in head and f'models: ["{NAME}"]' in head and 'license: "mit"' in head
    private = [HOME, PHOTO, RUN, str(tmp_path)]
    assert not [(name, word) for name, content in files.items() for word in private if word.encode() in content]
    assert fingerprint(run).encode() in files["index.html"]
    status, _, err = run_cli(*words)
    assert status == 1 and "name a new folder" in err


def test_a_dry_run_asks_for_nothing(fake: FakeHub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert publish(run, NAME, license="mit", dry_run=True).url == ""
    assert fake.requests == [] and fake.commits == {}


def test_without_a_token_it_is_one_sentence(fake: FakeHub, run: Path, run_cli: Cli) -> None:
    status, out, err = run_cli("publish", run, "--to", NAME, "--license", "mit")
    assert (status, out, err.count("\n"), fake.requests) == (1, "", 1, []) and "hf auth login" in err


def test_a_wrong_token_is_one_sentence(fake: FakeHub, run: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    status, _, err = run_cli("publish", run, "--to", NAME, "--license", "mit")
    assert (status, err.count("\n")) == (1, 1) and "check that your token is valid" in err and not fake.commits


# --- names and revisions ----------------------------------------------------------------------------------------------


def test_a_revision_is_pinned_and_shown(
    fake: FakeHub, files: Files, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fake.commit(NAME, files)
    status, _, err = run_cli("sample", f"hub:{NAME}", tmp_path / "a", "--seeds", "0")
    assert status == 0 and err.count(f"hub:{NAME}@{first}") == 1, err
    before = load_generator(f"hub:{NAME}")

    other = load_generator()  # the repository moves on to another model
    moved = {name: path.read_bytes() for name, path in {n: model_folder() / n for n in hub.NEEDED}.items()}
    second = fake.commit(NAME, moved)
    assert same_pictures(load_generator(f"hub:{NAME}"), before), "a process stays with what it has opened"
    restart(monkeypatch)
    assert same_pictures(load_generator(f"hub:{NAME}"), other)
    assert hub.pinned(f"hub:{NAME}") == f"hub:{NAME}@{second}"
    fake.branches[NAME]["v1"] = first
    assert same_pictures(load_generator(f"hub:{NAME}@v1"), before)

    restart(monkeypatch, HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    fake.requests.clear()
    assert same_pictures(load_generator(f"hub:{NAME}@{first}"), before), "a commit in the cache needs no Hub"
    record = json.loads((model_folder(f"hub:{NAME}@{first}") / hub.RECORD).read_text())
    assert (record["repository"], record["commit"], record["revision"]) == (NAME, first, "main")


def test_without_a_network_the_cache_answers(
    fake: FakeHub, files: Files, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = fake.commit(NAME, files)
    folder = model_folder(f"hub:{NAME}")
    restart(monkeypatch, HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    capfd.readouterr()
    assert model_folder(f"hub:{NAME}") == folder
    assert commit in capfd.readouterr().err
    with refused("hub.no_network", name="me/other"):
        simulacra.load("hub:me/other")


def test_every_command_that_takes_a_model_takes_it(
    fake: FakeHub, files: Files, run: Path, coarse_extractor: None, run_cli: Cli, tmp_path: Path
) -> None:
    name, commit = f"hub:{NAME}", fake.commit(NAME, files)
    fake.branches[NAME]["tidy"] = commit
    data, out = run.parent / "faces", tmp_path / "new"
    for words in (
        ["mix", name, tmp_path / "mix.png", "--rows", "1", "--columns", "2", "--way", "cross"],
        ["walk", name, tmp_path / "walk.webp", "--seconds", "0.2", "--seeds", "1,2"],
        ["evaluate", name, "--data", data, "--samples", "6", "--metrics", "fd"],
        ["compare", name, f"{name}@tidy", "--data", data, "--samples", "6"],
        ["publish", name, "--to", "me/copy", "--license", "mit", "--dry-run"],
        ["train", data, "--from", name, "--run", out, "--total", "16", "--gan", "mlp:tiny", "--device", "cpu"],
    ):
        status, _, err = run_cli(*words)
        assert status == 0, (words, err)
    record = json.loads((out / "config.json").read_text())["pretrained"]
    assert record["source"] == f"{name}@{commit}" and is_source(name, record)
    assert Library(name).name == "faces"
    with open_set(name, samples=4) as pictures:
        assert (pictures.kind, pictures.name, pictures.count) == ("model", "faces", 4)


def test_a_downloaded_model_stays_as_it_is(fake: FakeHub, files: Files, tmp_path: Path) -> None:
    name = f"hub:{NAME}"
    fake.commit(NAME, files)
    before = files_of(model_folder(name))
    rename_direction("warmer", "colder", name)
    assert directions_by_name(name).keys() == {"colder"} and files_of(model_folder(name)) == before
    assert directions_file(name).is_relative_to(tmp_path / "data")
    assert not encoder_file(name).is_relative_to(model_folder(name))


# --- what is not trusted ----------------------------------------------------------------------------------------------


def test_only_the_files_of_a_model_are_downloaded(fake: FakeHub, files: Files, tmp_path: Path) -> None:
    """Neither pickles, nor names that lead out of the folder, whatever their endings."""
    mark = tmp_path / "executed"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (mark,)

    bad = pickle.dumps(Attack())
    names = ["pytorch_model.bin", "state.pt", "G.pkl", "../G.safetensors", "../../../config.json", "/tmp/config.json"]
    names += ["upscale/../../config.json", "..\\config.json", "upscale/x3/config.json", "sub/config.json", "hub.json"]
    names += ["directions.safetensors\n", "G.safetensors.py", ".cache/config.json"]
    fake.commit(NAME, files | dict.fromkeys(names, bad))
    folder = model_folder(f"hub:{NAME}")
    load_generator(f"hub:{NAME}")
    assert downloads(fake) <= files.keys() and not mark.exists()
    wanted = {name for name in files if name.endswith((".json", ".safetensors"))}
    assert files_of(folder).keys() == wanted | {hub.RECORD}
    cache = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert cache == {Path(name).name for name in wanted} | {hub.RECORD, hub.REVISIONS, ".faces.lock"}


@pytest.mark.parametrize("name", ["G.safetensors", "config.json"])
def test_a_file_that_is_not_the_listed_one_is_not_used(fake: FakeHub, files: Files, name: str, tmp_path: Path) -> None:
    fake.commit(NAME, files)
    content = bytearray(files[name])
    content[-3] ^= 1
    fake.served[name] = bytes(content)
    with refused("hub.tampered", file=name):
        simulacra.load(f"hub:{NAME}")
    assert not list((tmp_path / "cache").rglob("G.safetensors"))
    fake.served.clear()
    simulacra.load(f"hub:{NAME}")


def test_a_damaged_cache_is_downloaded_again(fake: FakeHub, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = fake.commit(NAME, files)
    folder = model_folder(f"hub:{NAME}@{commit}")
    for damage in ("G.safetensors", hub.RECORD):
        (folder / damage).write_bytes(b"{}")
        restart(monkeypatch)
        assert model_folder(f"hub:{NAME}@{commit}") == folder
        assert (folder / "G.safetensors").read_bytes() == files["G.safetensors"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"config.json": b'{"model_type": "bert"}'}, "hub.not_a_model"),
        ({"config.json": b"\xff"}, "hub.not_a_model"),
        ({"config.json": None}, "hub.not_a_model"),
        ({"G.safetensors": None}, "hub.not_a_model"),
    ],
)
def test_what_is_not_a_model_is_a_sentence(
    fake: FakeHub, files: Files, change: dict[str, bytes | None], code: str
) -> None:
    fake.commit(NAME, {name: content for name, content in (files | change).items() if content is not None})
    with refused(code, name=NAME):
        simulacra.load(f"hub:{NAME}")
    assert "G.safetensors" not in downloads(fake)


@pytest.mark.parametrize(("name", "size"), [("G.safetensors", 5 << 30), ("config.json", 1 << 30)])
def test_what_is_too_large_is_not_downloaded(fake: FakeHub, files: Files, name: str, size: int) -> None:
    fake.commit(NAME, files)
    fake.sizes[name] = size
    with refused("hub.too_large", file=name):
        simulacra.load(f"hub:{NAME}")
    assert not downloads(fake)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub:", "hub:faces", "hub:../../etc", "hub:a/b/c", "hub:a/..", "hub:a/b c"])
def test_a_wrong_name_is_a_sentence(name: str) -> None:
    with refused("hub.bad_repository"):
        model_folder(name)


@pytest.mark.parametrize("revision", ["", "../x", "a b", "-x", "a..b", "x" * 300])
def test_a_wrong_revision_is_a_sentence(revision: str) -> None:
    with refused("hub.bad_revision"):
        model_folder(f"hub:me/faces@{revision}")


@pytest.mark.parametrize("address", ["http://[", "nowhere:1", "http://127.0.0.1:{port}"])
def test_an_address_that_does_not_answer_is_a_sentence(
    fake: FakeHub, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address.format(port=free_port()))
    with refused("hub.no_network", name=NAME):
        model_folder(f"hub:{NAME}")


@pytest.mark.parametrize("answer", ["[]", "<html>", '{"id": "me/faces", "sha": "main"}', '{"id": 1, "siblings": [{}]}'])
def test_an_answer_of_something_else_is_a_sentence(fake: FakeHub, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.commit(NAME, {})
    monkeypatch.setattr(fake, "answer", answer)
    with refused("hub.unreadable", name=NAME):
        model_folder(f"hub:{NAME}")


def test_what_the_hub_lacks_is_one_sentence(fake: FakeHub, files: Files, run_cli: Cli, tmp_path: Path) -> None:
    fake.commit(NAME, files)
    fake.commit("me/closed", files)
    fake.gated.add("me/closed")
    for name, words in {
        "hub:me/nothing": "There is no model me/nothing",
        f"hub:{NAME}@v9": "has no revision 'v9'",
        "hub:me/closed": "open only to those whom its owner admits",
    }.items():
        status, out, err = run_cli("sample", name, tmp_path / "out")
        assert (status, out, err.count("\n")) == (1, "", 1) and words in err, err
    status, _, err = run_cli("sample", "hub:me/nothing", tmp_path / "out", "--lang", "zh")
    assert status == 1 and "没有模型 me/nothing" in err
    status, _, err = run_cli("sample", f"hub:{NAME}", tmp_path / "out", "--seeds", "0", "--lang", "en")
    assert status == 0, err

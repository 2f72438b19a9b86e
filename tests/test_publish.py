"""`simulacra publish` without a network: what the folder holds, what it does not, the license, and what is refused."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from measuring import blobs, pair_folder, run_of, stand_in
from publishing import HOME, PHOTO, RUN, Terminal, files_of, make_run, rewrite
from safetensors import safe_open
from support import Cli, refused
from torch import equal

import simulacra
from simulacra import messages
from simulacra.publish.hub import licenses
from simulacra.publish.hub.card import cell
from simulacra.publish.hub.contents import public_config
from simulacra.publish.hub.upload import publish
from simulacra.storage import load_generator, model_folder

WEIGHTS = {"G.safetensors", "upscale/x2/G.safetensors"}
FILES = WEIGHTS | {
    "README.md", "certificate.json", "config.json", "directions.safetensors", "samples.png", "upscale/x2/config.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything."""
    return make_run(tmp_path_factory.mktemp("publish"))


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """A copy of it, beside the same data."""
    shutil.copytree(original, tmp_path / HOME / RUN)
    return tmp_path / HOME / RUN


def folder_of(run: Path, out: Path, **options: Any) -> Path:
    """The folder that would be uploaded."""
    publish(run, "me/faces", license=options.pop("license", "cc-by-4.0"), out=out, dry_run=True, **options)
    return out


def test_the_folder_is_a_model_that_draws_the_same_pictures(run: Path, tmp_path: Path) -> None:
    folder = folder_of(run, tmp_path / "out")
    assert files_of(folder).keys() == FILES
    mine, theirs = load_generator(run), load_generator(folder)
    assert all(equal(a, b) for a, b in zip(mine.pictures(range(4)), theirs.pictures(range(4)), strict=True))
    assert [d.name for d in simulacra.latent.saved.open_directions(folder)] == ["warmer"]
    with safe_open(folder / "G.safetensors", "pt") as file:
        assert file.metadata() == {"format": "simulacra-model-1", "gan": "mlp", "version": simulacra.__version__}
    config = json.loads((folder / "config.json").read_text())
    data = json.loads((run / "config.json").read_text())["data"]
    assert (config["license"], config["data_hash"]) == ("cc-by-4.0", data["hash"])


def test_nothing_private_is_published(run: Path, tmp_path: Path) -> None:
    checkpoint = model_folder(run)
    (tmp_path / "code.py").write_text("")
    secrets = {"gan_source": f"{tmp_path}/code.py:Own", "pretrained": {"source": RUN, "hash": "0" * 16, "nimg": 7}}
    published = folder_of(run, tmp_path / "out")
    rewrite(checkpoint / "config.json", lambda record: record.update(secrets, data=f"{HOME}/faces"))
    public = public_config(json.loads((checkpoint / "config.json").read_text()))
    assert public["gan_source"] == "code.py:Own" and public["pretrained"] == {"hash": "0" * 16, "nimg": 7}
    words = [HOME, PHOTO, RUN, str(tmp_path), str(Path.home()), os.fspath(Path.cwd()), "photos"]
    words += [getpass.getuser()] if len(getpass.getuser()) > 4 else []
    contents = {**files_of(published), "public": json.dumps(public).encode()}
    assert not [(name, word) for name, content in contents.items() for word in words if word.encode() in content]


def test_the_card_says_what_the_model_is(run: Path, tmp_path: Path) -> None:
    card = (folder_of(run, tmp_path / "out") / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    values = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())}
    assert values == {
        "license": "cc-by-4.0",
        "library_name": "simulacra",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["simulacra", "gan", "mlp", "image-generation"],
        "thumbnail": "https://huggingface.co/me/faces/resolve/main/samples.png",
    }
    data = json.loads((run / "config.json").read_text())["data"]
    certificate = json.loads((run / "certificate.json").read_text())
    assert 'simulacra.load_generator("hub:me/faces")' in body and "12 for training, 12 for validation" in body
    assert data["hash"] in body and certificate["model"]["hash"] in body and "24 of 24 pictures were usable" in body
    assert all(f"`{name}`" in body for name in certificate["scores"]) and "`warmer`" in body
    assert certificate["memorisation"]["sentence"] in body


def test_the_card_is_chinese_where_that_is_the_language(run: Path, tmp_path: Path) -> None:
    with messages.using("zh"):
        card = (folder_of(run, tmp_path / "out") / "README.md").read_text()
    certificate = json.loads((run / "certificate.json").read_text())
    assert "## 训练数据" in card and "训练 12 张、" in card and "未经挑选" in card
    assert not [line for line in card.splitlines() if line.startswith("## ") and line.isascii()]
    assert not [warning for warning in certificate["warnings"] if warning in card]


def test_a_dry_run_lists_what_would_be_uploaded(run_cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # neither the library nor a network is needed
    status, out, err = run_cli("publish", run, "--to", "me/faces", "--license", "mit", "--dry-run")
    assert status == 0, err
    assert all(any(line.endswith(f"  {name}") for line in out.splitlines()) for name in FILES)
    assert f"{(model_folder(run) / 'G.safetensors').stat().st_size / 1000:.1f} kB  G.safetensors" in out
    assert "8 files" in out and "Nothing was uploaded." in out and "evaluate" not in out


def test_without_the_library_only_a_folder_is_written(
    run_cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    words = ("publish", run, "--to", "me/faces", "--license", "mit")
    status, out, err = run_cli(*words)
    assert (status, out) == (1, "") and "pip install 'simulacra[hub]'" in err
    status, out, err = run_cli(*words, "--out", tmp_path / "out")
    assert status == 0 and "Nothing was uploaded. " in out and "simulacra[hub]" in out, err
    assert files_of(tmp_path / "out").keys() == FILES
    status, _, err = run_cli(*words, "--out", tmp_path / "out")
    assert status == 1 and "name a new folder" in err
    status, _, err = run_cli("sample", "hub:me/faces", tmp_path / "pictures")
    assert status == 1 and "pip install 'simulacra[hub]'" in err and err.count("\n") == 1


# --- the license ------------------------------------------------------------------------------------------------------


def test_without_a_license_and_a_terminal_it_is_one_sentence(run_cli: Cli, run: Path) -> None:
    status, out, err = run_cli("publish", run, "--to", "me/faces", "--dry-run")
    assert (status, out, err.count("\n")) == (1, "", 1) and "--license cc-by-4.0" in err
    status, _, err = run_cli("publish", run, "--to", "me/faces", "--dry-run", "--license", "cc-by-4")
    assert status == 1 and "Did you mean 'cc-by-4.0'?" in err
    assert not (run / licenses.FILE).exists()


def test_the_license_is_asked_for_once(run_cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("MIT"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for questions in (1, 0):
        status, out, err = run_cli("publish", run, "--to", "me/faces", "--dry-run")
        assert status == 0 and out.count("Under which license") == questions, err
    assert json.loads((run / licenses.FILE).read_text()) == {"license": "mit"}
    assert run_cli("publish", run, "--to", "me/faces", "--dry-run", "--license", "gpl-3.0")[0] == 0
    assert json.loads((run / licenses.FILE).read_text()) == {"license": "gpl-3.0"}


def test_the_bundled_model_remembers_no_license(tmp_path: Path) -> None:
    before = files_of(model_folder())
    with refused("hub.no_license"):
        licenses.choose_license(model_folder(), None, None)
    assert licenses.choose_license(model_folder(), "mit", None) == "mit"
    assert files_of(model_folder()) == before


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_model_that_copies_is_refused(run_cli: Cli, run: Path, tmp_path: Path) -> None:
    sentence = "The generator is copying training pictures."
    entry = {"verdict": "copying", "sentence": sentence}
    rewrite(run / "certificate.json", lambda record: record["memorisation"].update(entry))
    words = ("publish", run, "--to", "me/faces", "--license", "mit", "--dry-run", "--out", tmp_path / "out")
    status, _, err = run_cli(*words)
    assert status == 1 and "--anyway" in err and not (tmp_path / "out").exists()
    assert run_cli(*words, "--anyway")[0] == 0
    assert f"> ⚠️ **{sentence}**" in (tmp_path / "out" / "README.md").read_text()


def test_the_certificate_of_another_checkpoint_does_not_count(run_cli: Cli, run: Path, tmp_path: Path) -> None:
    rewrite(run / "certificate.json", lambda record: record["model"].update(hash="0" * 16))
    status, out, err = run_cli(
        "publish", run, "--to", "me/faces", "--license", "mit", "--dry-run", "--out", tmp_path / "out"
    )
    assert status == 0 and f"simulacra evaluate {run}" in out, err
    assert files_of(tmp_path / "out").keys() == FILES - {"certificate.json"}
    assert "was not scored" in (tmp_path / "out" / "README.md").read_text()


def test_a_model_folder_has_its_certificate_beside_it(run: Path, tmp_path: Path) -> None:
    model = folder_of(run, tmp_path / "model")
    assert publish(model, "me/faces", license="mit", dry_run=True).evaluate == ""
    (model / "certificate.json").unlink()
    command = publish(model, "me/faces", license="mit", dry_run=True).evaluate
    assert command == f"simulacra evaluate {model} --out {model}/certificate.json"
    assert publish("peeps", "me/faces", license="mit", dry_run=True).evaluate == ""


def test_the_discriminator_is_published_on_request(run: Path, tmp_path: Path) -> None:
    assert files_of(folder_of(run, tmp_path / "out", discriminator=True)).keys() == FILES | {"D.safetensors"}
    (model_folder(run) / "D.safetensors").unlink()
    with refused("hub.no_discriminator"):
        folder_of(run, tmp_path / "other", discriminator=True)


def test_moved_data_are_described_by_what_the_run_knows(run: Path, tmp_path: Path) -> None:
    rewrite(run / "config.json", lambda record: record["data"].update(source=str(tmp_path / "moved")))
    card = (folder_of(run, tmp_path / "out") / "README.md").read_text()
    assert "12 for training" in card and "usable" not in card


def test_a_translator_is_published_without_pictures(tmp_path: Path) -> None:
    data = pair_folder(tmp_path / HOME / "pair", blobs(8), blobs(8, 1), valid=4)
    run = run_of(tmp_path / HOME / RUN, data, [(0.5, -0.5)])
    length = {"total": 100, "minutes": None}
    rewrite(run / "config.json", lambda record: record.update(precision="fp32", length=length))
    simulacra.evaluate(run, samples=4, extractor=stand_in())
    folder = folder_of(run, tmp_path / "out")
    files = files_of(folder)
    assert files.keys() == {"G.safetensors", "README.md", "certificate.json", "config.json"}
    assert not [name for name, content in files.items() if HOME.encode() in content or RUN.encode() in content]
    card, certificate = files["README.md"].decode(), json.loads(files["certificate.json"])
    assert 'pipeline_tag: "image-to-image"' in card and "a (ones) and b (others)" in card
    assert card.count("4 for training, 4 for validation") == 2
    assert all(line["sentence"] in card for line in certificate["honesty"].values()) and certificate["honesty"]
    with refused("hub.space_without_pictures"):
        folder_of(run, tmp_path / "other", space=True)


@pytest.mark.parametrize(
    "name", ["faces", "me/", "me/fa ces", "me/../faces", "a/b/c", "me/-", "/faces", "me/faces@main"]
)
def test_a_wrong_name_of_a_repository_is_a_sentence(name: str) -> None:
    with refused("hub.bad_repository"):
        publish("peeps", name, license="mit", dry_run=True)


def test_names_cannot_break_the_card() -> None:
    assert cell("a|b\n# c <script>[x](y)") == "a\\|b # c &lt;script>\\[x](y)"


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_is_asked(run: Path) -> None:
    import pty

    server, terminal = pty.openpty()
    os.write(server, b"cc0-1.0\n")
    words = [sys.executable, "-m", "simulacra", "publish", str(run), "--to", "me/faces", "--dry-run"]
    done = subprocess.run(words, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, timeout=60)
    os.close(terminal)
    os.close(server)
    assert done.returncode == 0, done.stderr
    assert json.loads((run / licenses.FILE).read_text()) == {"license": "cc0-1.0"}

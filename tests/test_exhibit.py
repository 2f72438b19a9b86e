"""Writing exhibits: formats and refusals of the command, the graphs, and the runtime that the package carries."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import exploring
import numpy as np
import pytest
import torch
from support import build, noise, on_disk

from simulacra.cascade import Cascade
from simulacra.errors import SimulacraError
from simulacra.messages import LANGUAGES, catalogue
from simulacra.publish.exhibit.assembling import EXPLORER, OWN, RUNTIME, script
from simulacra.publish.exhibit.contents import training_data
from simulacra.publish.exhibit.graphs import TOLERANCE, graphs
from simulacra.publish.exhibit.nearest import thumbnails
from simulacra.publish.exhibit.writing import CODES
from simulacra.publish.formats import Format, format_of
from simulacra.storage import fingerprint, load_generator

if TYPE_CHECKING:
    from support import Cli

EXTRA = ("onnx", "onnxruntime", "onnxscript")  # whose imports take seconds
pytestmark = pytest.mark.skipif(not all(map(find_spec, EXTRA)), reason="needs the extra: pip install 'simulacra[onnx]'")


def test_the_runtime_is_the_one_of_its_manifest() -> None:
    manifest = json.loads((RUNTIME / "manifest.json").read_text())
    files = {path.name for path in RUNTIME.iterdir()} - {"manifest.json"}
    assert files == manifest["sha256"].keys()
    for name, expected in manifest["sha256"].items():
        assert hashlib.sha256((RUNTIME / name).read_bytes()).hexdigest() == expected
    assert "Permission is hereby granted" in (RUNTIME / "LICENSE").read_text() and manifest["license"] == "MIT"
    (wasm,) = RUNTIME.glob("*.wasm.gz")
    assert gzip.decompress(wasm.read_bytes())[:4] == b"\0asm"
    assert f"v{manifest['version']}" in (RUNTIME / "ort.wasm.bundle.min.mjs").read_text()


def test_every_text_of_an_exhibit_is_in_it() -> None:
    codes = set(re.findall(r'"((?:page|exhibit|directions|studio)\.\w+)"', script())) - {"directions.js"}
    assert len(codes) > 100
    for language in LANGUAGES:
        texts = {code for code in catalogue(language) if code.startswith(CODES)}
        assert not {code for code in codes if not code.startswith("page.")} - texts
        assert {code for code in texts if code.startswith("exhibit.")} == {code for code in codes if code.startswith("exhibit.")}  # fmt: skip


def test_an_exhibit_shares_the_explorers_modules() -> None:
    """Only those that ask a server, list the tabs and make films there are replaced."""
    own = {path.name for path in OWN.glob("*.js")}
    assert own & {path.name for path in EXPLORER.glob("*.js")} == {"api.js", "tab-list.js", "tab-walk.js"}


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("a.onnx", None, "onnx"), ("a.HTML", None, "html"), ("a.html", "html", "html"), ("site", "folder", "folder"),
        ("a.txt", None, "a.html"), ("a", None, "--format folder"), ("a.onnx", "html", "a.html"), ("a", "onnx", "a.onnx"),
        ("a.html", "folder", "such as a."),
    ],
)  # fmt: skip
def test_the_format_is_said_and_never_guessed(name: str, chosen: Format | None, expected: str) -> None:
    if expected in ("onnx", "html", "folder"):
        assert format_of(Path(name), chosen) == expected
        return
    with pytest.raises(SimulacraError, match=re.escape(expected)):
        format_of(Path(name), chosen)


def test_a_folder_for_a_web_space(tmp_path: Path, run_cli: Cli) -> None:
    folder = exploring.model(tmp_path / "run")
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"data": str(tmp_path / "secret" / "faces")}))
    status, out, err = run_cli("export", tmp_path / "run", tmp_path / "site", "--format", "folder")
    assert status == 0 and not err and "site/index.html" in out and "needs no network" in out
    assert {path.name for path in (tmp_path / "site").iterdir()} == {"index.html", "model.onnx", "certificate.json"}
    certificate = json.loads((tmp_path / "site" / "certificate.json").read_text())
    assert certificate["model"] == fingerprint(tmp_path / "run") and certificate["difference"] <= TOLERANCE
    page = (tmp_path / "site" / "index.html").read_text()
    assert page.startswith("<!doctype html>") and not re.search(
        r'(src|href)="(?!data:|#)[^"]', page.split("<script")[0]
    )
    assert (RUNTIME / "LICENSE").read_text() in page and str(tmp_path) not in page
    before = page
    status, _, err = run_cli("export", tmp_path / "run", tmp_path / "site", "--format", "folder")
    assert status == 1 and "exists" in err and (tmp_path / "site" / "index.html").read_text() == before


def test_refusals_are_one_sentence_and_write_nothing(tmp_path: Path, run_cli: Cli) -> None:
    exploring.model(tmp_path / "plain")
    exploring.model(tmp_path / "translator", "cyclegan:tiny")
    (tmp_path / "taken.html").write_text("mine")
    before = {path.name for path in tmp_path.iterdir()}
    for words, sentence in (
        (["plain", "new.txt"], "does not say what to write"),
        (["plain", "taken.html"], "taken.html exists"),
        (["plain", "new.onnx", "--nearest"], "leave --nearest out"),
        (["plain", "new.html", "--nearest"], "plain"),  # nobody knows where its pictures are
        (["plain", "new.html", "--to", "a"], "leave --to out"),
        (["translator", "new.html"], "a page is for models that draw"),
        (["plain", "new.html", "--size", "33"], "33"),
    ):
        status, out, err = run_cli("export", tmp_path / words[0], tmp_path / words[1], *words[2:])
        assert status == 1 and not out and sentence in err and len(err.strip().splitlines()) <= 4, words
    assert {path.name for path in tmp_path.iterdir()} == before and (tmp_path / "taken.html").read_text() == "mine"


def test_a_certificate_is_shown_in_both_languages(tmp_path: Path) -> None:
    from simulacra.measure.model_under_test import model_under_test
    from simulacra.publish.exhibit.contents import certificate

    run = exploring.with_config(exploring.run(tmp_path / "run", checkpoints=1), tmp_path / "data")
    model = model_under_test(run)
    score = {"value": 12.3, "low": 11.0, "high": 13.0, "better": "lower", "what": "text", "n": 10, "n_real": 10}
    stored: dict[str, Any] = {"format": "simulacra-certificate-1", "model": {"hash": model.hash, "gan": "stylegan2", "nimg": 160}, "extractor": {}, "versions": {},
              "data": {"name": "tiny", "hash": "x", "on": "train", "pictures": 24, "size": [3, 16, 16]}, "n": 10, "leads": "fd",
              "warnings": ["a warning"], "scores": {"fd": score}}  # fmt: skip
    (run / "certificate.json").write_text(json.dumps(stored))
    made = graphs(load_generator(run))
    scores = certificate(model, made)["scores"]
    assert scores["en"]["rows"][0]["value"] == scores["zh"]["rows"][0]["value"] == "12.3"
    assert scores["en"]["rows"][0]["better"] != scores["zh"]["rows"][0]["better"]
    (run / "certificate.json").write_text(json.dumps(stored | {"model": stored["model"] | {"hash": "another"}}))
    assert certificate(model, made)["scores"] is None


def test_weights_are_halved_where_that_changes_no_picture() -> None:
    torch.manual_seed(0)
    generator = build("mlp:tiny", (3, 8, 8)).G.eval()
    made = graphs(generator)
    assert made.half and made.difference <= TOLERANCE and made.mapping is None
    import onnx

    kinds = {tensor.data_type for tensor in onnx.load_from_string(made.synthesis).graph.initializer if np.prod(tensor.dims) >= 256}  # fmt: skip
    assert kinds == {onnx.TensorProto.FLOAT16}
    linear: list[Any] = [layer for layer in generator.modules() if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():  # the same function, whose weights no float16 can hold
        linear[-2].weight *= 1e7
        linear[-2].bias *= 1e7
        linear[-1].weight /= 1e7
    whole = graphs(generator)
    assert not whole.half and whole.difference < 0.1


def test_an_exhibit_may_enlarge_its_pictures() -> None:
    from simulacra.gans.upscale import UpscaleGAN

    torch.manual_seed(0)
    generator, upscaling = build("mlp:tiny", (3, 8, 8)).G.eval(), build("upscale:tiny", (3, 16, 16))
    assert isinstance(upscaling, UpscaleGAN)
    torch.nn.init.normal_(upscaling.G.last.weight, std=0.1)
    cascade = Cascade([upscaling.G.eval()], (3, 8, 8))
    made = graphs(generator, cascade=cascade)
    import onnxruntime

    session = onnxruntime.InferenceSession(made.synthesis, providers=["CPUExecutionProvider"])
    (pictures,) = session.run(None, {"w": generator.seeded(range(3)).numpy()})
    expected = cascade.enlarge(torch.cat(list(generator.pictures(range(3)))))
    assert pictures.shape == (3, 3, 16, 16)
    assert np.abs(pictures - expected.clamp(-1, 1).numpy()).max() * 127.5 <= TOLERANCE


def test_thumbnails_are_of_all_training_pictures(tmp_path: Path) -> None:
    from simulacra.measure.model_under_test import model_under_test

    data = on_disk(tmp_path / "data", noise(30))
    folder = exploring.model(tmp_path / "model", "mlp:tiny")
    about = json.loads((folder / "config.json").read_text())
    for content, fits in (("x", False), (json.loads((data / "data.json").read_text())["hash"], True)):
        (folder / "config.json").write_text(json.dumps(about | {"data": str(data), "data_hash": content}))
        if fits:
            pictures = training_data(model_under_test(folder))
            assert thumbnails(pictures).layout["count"] == len(pictures) > 0
        else:
            with pytest.raises(SimulacraError, match="not those that"):
                training_data(model_under_test(folder))

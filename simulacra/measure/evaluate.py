"""Score one model: how good and how varied its pictures are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from simulacra import distributed
from simulacra.console import Begin, silent
from simulacra.data.dataset import verify
from simulacra.errors import SimulacraError
from simulacra.measure.certificate import certificate, check_path, write_certificate
from simulacra.measure.extractors.features import DEFAULT, Extractor, open_extractor
from simulacra.measure.metrics import find
from simulacra.measure.model_under_test import FIRST_SEED, model_under_test
from simulacra.measure.score_records import Certificate
from simulacra.measure.tasks import open_context

SAMPLES = 5000


def evaluate(
    where: str | Path | None = None,
    *,
    data: str | Path | None = None,
    on: str | None = None,
    samples: int = SAMPLES,
    metrics: Sequence[str] | None = None,
    first_seed: int = FIRST_SEED,
    extractor: str | Extractor = DEFAULT,
    weights: str | Path | None = None,
    sha256: str | None = None,
    out: str | Path | None = None,
    device: str | torch.device = "cpu",
    advance: Begin = silent,
) -> tuple[Certificate, Path | None]:
    """Score a model's pictures against real ones; returns the certificate and the path it was written to.

    where: a run (its best checkpoint), a checkpoint, a model folder, or `peeps`, the bundled model (the default).
    data: the dataset to compare with; by default the one the model was trained on. on: its part, by default `train`.
        A translator is given pictures that it was not trained on, if there are any; with `on`, those of that part.
    samples: fakes, and reals at most. metrics: words of `metrics.words(task)`; by default all that model and data
        allow. first_seed: fakes are drawn from seeds from here on; the choice of a checkpoint uses those from 0.
    extractor, weights, sha256: see `open_extractor`. out: path of the certificate; by default `certificate.json` in
        the run. A certificate of another model at that path is renamed, not overwritten.
    device: where to compute. advance: called with the title and size of each piece of work, for progress.

    Raises `SimulacraError` for an unknown metric, too few pictures, an `out` that is another file, or a dataset that is
    missing, changed, or of another picture shape.
    """
    if samples < 2:
        raise SimulacraError("measure.samples", samples=samples)
    if not 0 <= first_seed < 2**62:
        raise SimulacraError("measure.first_seed", seed=first_seed)
    model = model_under_test(where)
    chosen = find(metrics or (), model.task)
    path = Path(out).expanduser() if out else (model.run / "certificate.json" if model.run else None)
    if path is not None:
        check_path(path)
    pictures = model.dataset(data)
    verify(pictures)
    with distributed.group(torch.device(device)):
        if isinstance(extractor, str):
            extractor = open_extractor(extractor, device=device, weights=weights, sha256=sha256)
        context = open_context(
            model, model.load(device), pictures, extractor=extractor, on=on, samples=samples, first_seed=first_seed,
            begin=advance,
        )  # fmt: skip
        record = certificate(model, context, chosen)
        if path is not None and distributed.rank() == 0:
            write_certificate(path, record)
    return record, path

"""A run as one HTML file that opens anywhere: no script, no request, light and dark, for a screen and for paper."""

from __future__ import annotations

from pathlib import Path

from simulacra.errors import SimulacraError
from simulacra.files import written_aside
from simulacra.publish.report.contents import gather
from simulacra.publish.report.page import MARK, render

LIMIT = 5_000_000  # bytes that a report may take


def report(run: str | Path, out: Path | None = None, *, limit: int = LIMIT) -> Path:
    """Write the report of a run, finished or not; returns its path.

    run: the run's folder. out: the file, `report.html` in the run's folder if not given; an older report is replaced,
    any other file is not. limit: the most bytes it may take; the film of the previews gives way first, then quality.

    What the run lacks (scores, a certificate, its data set) is said in the page, with the command that makes it. No
    path of this machine is written into it but the run's own, as given. Raises `SimulacraError` for what is no run,
    for a run without a checkpoint, and where something else stands at `out`.
    """
    folder = Path(run).expanduser()
    told = gather(folder)
    path = folder / "report.html" if out is None else Path(out).expanduser()
    if path.is_dir():
        raise SimulacraError(f"{path} is a folder: name the file to write, such as {path / 'report.html'}.")
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise SimulacraError(f"{path} exists and is not a report of simulacra: choose another --out.")
    text = render(told, limit=limit).encode()
    with written_aside(path) as file:
        file.write(text)
    return path

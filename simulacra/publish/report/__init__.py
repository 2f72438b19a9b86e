"""A run as one HTML file that opens anywhere: no script, no request, light and dark, for a screen and for paper."""

from __future__ import annotations

from pathlib import Path

from simulacra import messages
from simulacra.errors import SimulacraError
from simulacra.files import atomic_file
from simulacra.publish.report.page import MARK, render_page
from simulacra.publish.report.run_contents import read_contents

LIMIT = 5_000_000  # bytes of a report, at most


def report(run: str | Path, out: str | Path | None = None, *, language: str | None = None, limit: int = LIMIT) -> Path:
    """Write the report of a run, finished or not; returns its path.

    run: the run's folder. out: the file; by default `report.html` in the run's folder. An older report is replaced, any
    other file is not. language: `en` or `zh`; by default the language in use. limit: the largest size in bytes; the
    film of the previews gives way first, then the quality of the pictures.

    Where the run lacks a part (scores, a certificate, its data set), the page names the command that makes it. The
    page contains no path of this machine except the run's own, as given. Raises `SimulacraError` if `run` is not a
    run, has no checkpoint, or if `out` is another file.
    """
    language = language or messages.language()
    if language not in messages.LANGUAGES:
        raise SimulacraError("report.no_such_language", language=language, names=messages.LANGUAGES)
    with messages.using(language):
        contents = read_contents(Path(run).expanduser())
        path = contents.folder / "report.html" if out is None else Path(out).expanduser()
        check_page(path)
        html = render_page(contents, limit=limit).encode()
    with atomic_file(path) as file:
        file.write(html)
    return path


def check_page(path: Path) -> None:
    """Raise `SimulacraError` where a folder, or a file that is no report, is in the way."""
    if path.is_dir():
        raise SimulacraError("report.out_is_folder", path=path, example=path / "report.html")
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise SimulacraError("report.out_is_other_file", path=path)

"""`simulacra demo`: all steps on the built-in people, in minutes."""

from __future__ import annotations

from pathlib import Path

from simulacra.console import say, tasks

SIZE = 32
MINUTES = 2.8
SAMPLES = 500  # pictures that score a checkpoint


def demo(run: Path) -> bool:
    """Prepare the built-in people at 32 px, train, choose, draw, report; True when Ctrl-C came before the end.

    A second call resumes the run of the first, or shows its results again.
    """
    from simulacra.data.opening import is_prepared
    from simulacra.data.prepare import prepare
    from simulacra.measure.choose import choose
    from simulacra.measure.printing import print_choice
    from simulacra.publish.report import report
    from simulacra.sampling import write_pictures
    from simulacra.storage import fingerprint, load_generator, model_folder
    from simulacra.training.options import TrainOptions
    from simulacra.training.run import execute

    data = run.parent / f"{run.name}-people{SIZE}"
    if not is_prepared(data):
        prepare("peeps", data, size=SIZE)
    folder, ended = execute(data, TrainOptions(run=run, minutes=MINUTES), draw=True)
    if not ended:
        return True
    with tasks() as advance:
        chosen = choose(folder, samples=SAMPLES, advance=advance)
    print_choice(folder, chosen)
    path = folder / "people" / model_folder(folder).name
    write_pictures(load_generator(folder), path, range(64), model=fingerprint(folder), singles=False, grid=True)
    film, grid = folder / "film.webp", path / "grid.png"
    say("train.demo", film=film, grid=grid, report=report(folder), run=folder)
    return False

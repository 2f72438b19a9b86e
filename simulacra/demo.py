"""`simulacra demo`: the whole way, on the built-in people, in minutes."""

from __future__ import annotations

from pathlib import Path

from simulacra.console import console, tasks

SIZE = 32
MINUTES = 2.8
SAMPLES = 500  # pictures by which each checkpoint is judged


def demo(run: Path) -> bool:
    """Prepare the built-in people at 32 px, train, choose, draw, report; True when Ctrl-C came before the end.

    A second call goes on with, or shows, what the first left.
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
    console.print(f"The film of the training: {folder / 'film.webp'}", markup=False)
    console.print(f"64 new people:            {path / 'grid.png'}", markup=False)
    console.print(f"All that is known of it:  {report(folder)}", markup=False)
    console.print(f"Train on with:            simulacra train {folder} --total 500k", markup=False)
    console.print(f"Sculpt them:              simulacra explore {folder}", markup=False)
    return False

"""The command that finds out whether fakes make a classifier better: worth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads


@command("judge", "simulacra worth runs/animals-r3gan")
def worth(
    model: str,
    /,
    *,
    on: Literal["valid", "test"] | None = None,
    data: Path | None = None,
    unseen: str | None = None,
    label: str | None = None,
    of: str | None = None,
    ratio: float = 1.0,
    seeds: int = 5,
    flips: bool = True,
    json: bool = False,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Find out whether generated pictures make a classifier better, and how many more real pictures they are worth.

    Small classifiers are trained on real pictures, with flips and crops, with fakes, and on parts of the real pictures.
    What is compared is written down before. Ctrl-C stops; the same command continues.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder or hub:OWNER/NAME, of a model trained with labels.
    on
        Part of the dataset to test on; valid and test together if not given.
    data
        Where the dataset that the model was trained on lies now, if it was moved.
    unseen
        Another prepared dataset with the same classes to test on.
    label
        Attribute to classify, or group of attributes, where the dataset has attributes.
    of
        Class whose accuracy decides, or rarest; the mean over classes if not given.
    ratio
        Fakes for each real picture in the comparison that decides; half and twice as many are tried for information.
    seeds
        Classifiers to train for each comparison.
    flips
        Mirror pictures at random; leave out where a mirrored picture means something else, such as a digit.
    json
        Print the record as JSON and nothing else.
    out
        File of the record; worth.json in the run if not given.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.console import console, silent, tasks
    from simulacra.device import choose_device
    from simulacra.measure.worth import worth as weigh
    from simulacra.measure.worth_table import as_json, print_plan, print_worth

    set_threads(threads)
    with tasks() as advance:
        record = weigh(
            model, on=on, data=data, unseen=unseen, label=label, of=of, ratio=ratio, seeds=seeds, flips=flips,
            out=out, device=choose_device(device), advance=silent if json else advance,
            on_plan=None if json else print_plan,
        )  # fmt: skip
    if json:
        console.print(as_json(record), markup=False)
    else:
        print_worth(record)

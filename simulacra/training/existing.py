"""The run that a `train` command continues: its folder, what the folder holds, and the run's data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulacra.data.opening import is_prepared
from simulacra.files import leftovers
from simulacra.registry import short_name
from simulacra.training.options import TrainOptions
from simulacra.training.pretrained import is_source
from simulacra.training.run_records import RunConfig, read_run

BUILT_IN = "peeps"  # the data set that is no folder


@dataclass(frozen=True)
class Existing:
    """What the first of several processes has: the run's folder, and its `config.json` if there is one."""

    folder: Path
    stored: RunConfig | None


def source_of(data: str | Path, stored: RunConfig | None) -> str:
    """The data set that a command names: itself, or that of the run whose folder it names."""
    return stored["data"]["source"] if stored and str(data) != BUILT_IN and not is_prepared(data) else str(data)


def named_folder(data: str, spec: str | None, options: TrainOptions) -> Path | None:
    """The run's folder where the command names it, the GAN, or a pretrained model that is gone but was started from."""
    if options.run is not None:
        return options.run.expanduser()
    if spec is not None:
        return Path("runs") / f"{data}-{short_name(spec)}"
    if options.pretrained is not None and not Path(options.pretrained).expanduser().exists():
        for folder in sorted(Path("runs").glob(f"{data}-*")):
            if (stored := read_run(folder)) and is_source(options.pretrained, stored.get("pretrained")):
                return folder
    return None


def is_in_use(folder: Path) -> bool:
    """Whether the folder holds anything other than the leftovers of a run killed before its first write."""
    ours = {folder / ".lock", *leftovers(folder)}
    return not folder.is_dir() or any(path not in ours for path in folder.iterdir())

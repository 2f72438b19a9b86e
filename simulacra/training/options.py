"""The options of a training run: one dataclass for the command line, and `simulacra.train` with the same keywords.

A new option is a field of `TrainOptions` and a keyword of `train`. Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from simulacra.errors import SimulacraError

if TYPE_CHECKING:
    from simulacra.training.observers import Observer

Setting = str | int | float | bool | tuple[Any, ...] | list[Any] | None  # the value of a GAN's setting


def option(text: str, default: Any = None, *, name: str = "") -> Any:
    """A field of `TrainOptions`; `text` is its sentence in `--help`, `name` that of its option if another one."""
    return field(default=default, metadata={"meaning": text} | ({"option": name} if name else {}))


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train. None: as the run's folder says, else the default in brackets.

    The GAN's own settings (`lr`, `batch`, ...) are no options; they stand beside these.
    """

    gan: str | None = option(
        "GAN, with or without a preset: dcgan, wgan-gp, dcgan:celeba64; see simulacra list (auto)."
    )
    run: Path | None = option("Folder of the run (runs/DATA-GAN).")  # noqa: RUF009
    pretrained: str | Path | None = option(  # noqa: RUF009
        "Pretrained model to start from: a run, a checkpoint, a model's folder, hub:OWNER/NAME, or bundled.",
        name="from",
    )
    freeze: str | int | None = option("Images for which the lower half of D stays as in the pretrained model (0).")
    total: str | int | None = option("Length in images shown, such as 200k.")
    epochs: float | None = option("Length in passes over the data.")
    minutes: float | None = option("Length in minutes of training, over all sessions.")
    balance: str | None = option("Whose step is next: adaptive, or fixed:K for K steps of D to one of G.")
    augment: Literal["none", "ada", "diff"] | None = option(
        "Augmentation of what D sees, for few pictures: ada adapts its strength, diff is constant."
    )
    precision: Literal["auto", "bf16", "fp32"] | None = option(
        "Arithmetic: auto is bf16 where the hardware has it, else fp32."
    )
    seed: int | None = option("Decides the initial weights, the order of the data and all noise (0).")
    compile: bool | None = option("Compile the whole step; pays mostly where there is a gradient penalty.")
    micro: int | None = option("Pictures of a microbatch, when a batch does not fit in memory.")
    every: str | int | None = option(
        "Images between journal lines with previews (a hundredth of the run; also every few seconds where --minutes decides)."
    )
    save_every: str | int | None = option("Images between checkpoints.")
    measure_every: str | int | None = option(
        "Images between scores; 0 for none (where they cost less than a twentieth of the time). The best checkpoint is kept and becomes the run's model. At the end it is scored anew."
    )
    patience: int | None = option("Scores in a row without a new best that end the run; 0 never ends it (8).")
    rollback: int | None = option(
        "Times that the run may return to its last healthy checkpoint and try another seed (0)."
    )
    disk: float | None = option("GB that checkpoints may take; the best and the last two always stay.")
    device: Literal["auto", "cpu", "cuda", "mps"] = option("Where to train.", "auto")
    threads: int | None = option("Processor threads; fewer can be faster on a busy machine.")
    observe: str | None = option("Also report to tensorboard, wandb or both, separated by commas.")
    quiet: bool = option("Print nothing.", False)


def check_numbers(options: TrainOptions) -> None:
    """Refuse two lengths, and numbers out of their range."""
    if sum(value is not None for value in (options.total, options.epochs, options.minutes)) > 1:
        raise SimulacraError("plan.two_lengths")
    for name, length in (("--epochs", options.epochs), ("--minutes", options.minutes)):
        if length is not None and not 0 < length < 1e9:
            raise SimulacraError("plan.not_positive", name=name, value=length)
    for name, count in (("--patience", options.patience), ("--rollback", options.rollback)):
        if count is not None and not 0 <= count < 1e6:
            raise SimulacraError("plan.negative", name=name, value=count)


def train(
    data: str | Path,
    *,
    gan: str | None = None,
    run: str | Path | None = None,
    pretrained: str | Path | None = None,
    freeze: str | int | None = None,
    total: str | int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    balance: str | None = None,
    augment: Literal["none", "ada", "diff"] | None = None,
    precision: Literal["auto", "bf16", "fp32"] | None = None,
    seed: int | None = None,
    compile: bool | None = None,
    micro: int | None = None,
    every: str | int | None = None,
    save_every: str | int | None = None,
    measure_every: str | int | None = None,
    patience: int | None = None,
    rollback: int | None = None,
    disk: float | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
    observe: str | None = None,
    quiet: bool = False,
    observers: Sequence[Observer] = (),
    settings: Mapping[str, Setting] | None = None,
    **more_settings: Setting,
) -> Path:
    """Train a GAN on a prepared dataset, or resume a run; returns the run's folder.

        simulacra.train("faces", gan="dcgan", epochs=50, lr=1e-4)

    data: a prepared dataset, `peeps` (built in), or the folder of a run to resume. The options are those of
    `TrainOptions`, where each has its sentence. observers: objects told of every step, journal line and checkpoint.
    Settings of the GAN, such as `lr` or `batch`, are further keywords, or the mapping `settings`.

    Ctrl-C finishes the step, saves and returns. Raises `SimulacraError` for bad input, a changed setting or dataset, a
    full disk, or a loss that is no longer finite; checkpoints written before remain.
    """
    keywords = locals()
    from simulacra.training.run import execute

    options = {option.name: keywords[option.name] for option in fields(TrainOptions)}
    options["run"] = None if run is None else Path(run)
    return execute(data, TrainOptions(**options), {**(settings or {}), **more_settings}, observers)[0]

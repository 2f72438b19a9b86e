"""Commands that draw with a model: sample, mix, walk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from simulacra.cli.entry import command, set_threads
from simulacra.errors import SimulacraError
from simulacra.messages import text


@command("create", "simulacra sample runs/faces-r3gan pictures --seeds 0-35 --grid")
def sample(
    model: str | None = None,
    out: Path = Path("samples"),
    /,
    *,
    seeds: str | None = None,
    count: int | None = None,
    label: str = "",
    by_label: bool = False,
    per_class: bool = False,
    grid: bool = False,
    each: bool = True,
    zip: Path | None = None,
    npz: Path | None = None,
    labels: Path | None = None,
    truncation: float = 1.0,
    layer_truncation: str = "",
    noise_seed: int | None = None,
    min_latent: float = 0.0,
    size: int | None = None,
    recipe: Path | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    threads: int | None = None,
) -> None:
    """Draw pictures; without arguments, with the bundled model.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        Folder to draw into; nothing there is overwritten.
    seeds
        Seeds of the pictures: 7, 0-99, 1,5,10-12, or words such as "my cat"; 0-15 if not given. A seed always gives the
        same picture.
    count
        So many pictures instead, of the seeds 0, 1, 2 and so on.
    label
        What to draw, for a conditional model: a class by name or number, or attributes such as "glasses, smile=0.5,
        hair: red". As in the data if not given.
    by_label
        Also draw labels.png: a row for each class or attribute.
    per_class
        With --zip or --npz: all these seeds, or the count, for each class; in a zip in a folder of its name.
    grid
        Also draw all pictures into grid.png.
    each
        Write one PNG a seed.
    zip
        Write one zip of PNGs instead of a folder, however many.
    npz
        Write one .npz instead: images [N, H, W, C] uint8, seeds and labels.
    labels
        With --zip or --npz: also write a CSV with the label of each picture.
    truncation
        Truncation: below 1, pictures are nearer to the most typical one, less varied and often cleaner.
    layer_truncation
        Further truncation by layers, for a model with layers, from the coarsest: such as 0-3=0.5,4-7=0.8.
    noise_seed
        Draw the layers' noise anew, for stylegan and stylegan2: the same picture with other details.
    min_latent
        Least absolute value of each number of the latent.
    size
        Height of the pictures in pixels: the model's own, or 2, 4 or 8 times that where the run has upscalers; see
        simulacra upscale.
    recipe
        Recipe to draw instead of seeds: a JSON file, or a picture that holds one.
    precision
        bf16 is up to twice as fast where the processor or GPU has it; pixels differ slightly.
    device
        Device to compute on.
    threads
        Processor threads; fewer can be faster on a busy machine.
    """
    from simulacra.bulk import write_bulk
    from simulacra.cascade import cascade_of_size
    from simulacra.console import console, progress, say
    from simulacra.device import choose_device
    from simulacra.latent.layer_ranges import parse_layer_truncation
    from simulacra.sampling import format_label, label_rows, read_recipe, write_pictures, write_recipe
    from simulacra.seeds import parse_seeds
    from simulacra.storage import fingerprint, load_generator

    if recipe is not None:
        from simulacra.latent.saved import directions_by_name

        _refuse_beside_recipe(
            seeds=seeds is not None, count=count is not None, label=label, by_label=by_label, per_class=per_class, grid=grid, no_each=not each, zip=zip, npz=npz,
            labels=labels, truncation=truncation != 1, layer_truncation=layer_truncation, noise_seed=noise_seed is not None, min_latent=min_latent,
        )  # fmt: skip
        set_threads(threads)
        generator, content = load_generator(model, choose_device(device)), read_recipe(recipe)
        path = write_recipe(
            generator, out, content, directions_by_name(model), name=recipe.stem, model=fingerprint(model), bf16=precision == "bf16",
            cascade=cascade_of_size(model, generator.shape, size, generator.device),
        )  # fmt: skip
        console.print(str(path), markup=False)
        return
    if count is not None and (seeds is not None or count < 1):
        raise SimulacraError("cli.count", count=count)
    numbers: Sequence[int] = range(count) if count else parse_seeds("0-15" if seeds is None else seeds)
    by_layer, archive = parse_layer_truncation(layer_truncation), zip or npz
    if noise_seed is not None:
        parse_seeds(str(noise_seed))
    if archive is None and (per_class or labels is not None):
        raise SimulacraError("cli.needs_one_file")
    if archive is not None and (grid or by_label or not each or (zip and npz)):
        raise SimulacraError("cli.only_one_file")
    if not each and not grid and not by_label:
        raise SimulacraError("cli.nothing_to_draw")
    set_threads(threads)
    generator = load_generator(model, choose_device(device))
    cascade = cascade_of_size(model, generator.shape, size, generator.device)
    if archive is not None:
        with progress(text("cli.drawing"), len(numbers) * (generator.labels if per_class else 1)) as advance:
            drawn = write_bulk(
                generator, archive, numbers, model=fingerprint(model), per_class=per_class, labels=labels, label=label,
                truncation=truncation, layer_truncation=by_layer, noise=noise_seed, min_latent=min_latent, bf16=precision == "bf16", cascade=cascade,
                advance=advance,
            )  # fmt: skip
        say("cli.drawn", count=drawn, path=archive)
        return
    rows = len(label_rows(generator, label)) if by_label else 0
    with progress(text("cli.drawing"), len(numbers) * (rows + (each or grid))) as advance:
        paths = write_pictures(
            generator, out, numbers, model=fingerprint(model), label=label, truncation=truncation,
            layer_truncation=by_layer, noise=noise_seed, min_latent=min_latent, bf16=precision == "bf16", singles=each, grid=grid, by_label=by_label, cascade=cascade, advance=advance,
        )  # fmt: skip
    place, count = paths[0] if len(paths) == 1 else out, len(numbers) * (1 if each or grid else rows)
    if label:
        say("cli.drawn_label", count=count, label=format_label(generator, label), path=place)
    else:
        say("cli.drawn", count=count, path=place)
    if generator.labels and not label and not by_label:
        say("cli.labels_as_in_data", label=generator.name_of(0))


def _refuse_beside_recipe(**given: object) -> None:
    """Raise `SimulacraError` if any of these options is given: a recipe says all of that."""
    if names := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise SimulacraError("cli.beside_recipe", options=names)


@command("create", "simulacra mix runs/faces-r3gan children.png --rows 1-4 --columns 5-9")
def mix(
    model: str,
    out: Path,
    /,
    *,
    rows: str = "1-4",
    columns: str = "5-9",
    way: Literal["auto", "layers", "cross", "blend"] = "auto",
    layers: str = "",
    label: str = "",
    truncation: float = 1.0,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> None:
    """Draw a grid of children: parents on the left and on top, and between them the mix of each two.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        PNG to write.
    rows
        Seeds of the parents on the left, such as 1-4 or 1,5,9.
    columns
        Seeds of the parents on top.
    way
        layers: styles of the top parent in some layers, where the model has them; cross: each number of z from either
        parent; blend: halfway. auto is layers where possible, else cross.
    layers
        Layers of the top parent, such as 0-3; the coarser half if not given.
    label
        What to draw, for a conditional model; see simulacra sample.
    truncation
        Truncation: below 1, pictures are nearer to the most typical one.
    device
        Device to compute on.
    """
    from simulacra.console import console
    from simulacra.latent.mix import mix as write

    path = write(
        model,
        out,
        rows=rows,
        columns=columns,
        way=way,
        layers=layers,
        label=label,
        truncation=truncation,
        device=device,
    )
    console.print(str(path), markup=False)


@command("create", "simulacra walk runs/faces-r3gan walk.webp --seeds 1,5,9")
def walk(
    model: str,
    out: Path,
    /,
    *,
    seeds: str = "1,5,9",
    seconds: float = 6.0,
    fps: float = 25.0,
    loop: bool = True,
    space: Literal["auto", "z", "w"] = "auto",
    easing: Literal["smooth", "linear"] = "smooth",
    even: bool = False,
    label: str = "",
    truncation: float = 1.0,
    size: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> None:
    """Film a walk from picture to picture through the latent space.

    Parameters
    ----------
    model
        A run (its best checkpoint), a checkpoint, a model folder, hub:OWNER/NAME, or peeps, the bundled model.
    out
        Film to write: .webp, .gif, .mp4 (needs the extra film), or a folder for numbered PNGs.
    seeds
        Seeds of the pictures on the way, in this order.
    seconds
        Length of the film in seconds.
    fps
        Frames a second.
    loop
        Return to the first picture at the end, and repeat for ever.
    space
        z: on arcs through the prior; w: straight lines after the mapping network. auto is w where there is a mapping
        network.
    easing
        smooth: slower near each picture on the way; linear: constant.
    even
        Make pictures change at an even speed.
    label
        What to draw, for a conditional model; see simulacra sample.
    truncation
        Truncation: below 1, pictures are nearer to the most typical one.
    size
        Height of the film in pixels; the model's own if not given. Larger ones use the run's upscalers, if it has any.
    device
        Device to compute on.
    """
    from simulacra.console import say, tasks
    from simulacra.latent.film import frame_count
    from simulacra.latent.film import walk as write

    with tasks() as begin:
        path = write(
            model, out, seeds=seeds, seconds=seconds, fps=fps, loop=loop, space=space, easing=easing, even=even,
            label=label, truncation=truncation, size=size, device=device, begin=begin,
        )  # fmt: skip
    say("latent.walk_written", path=path, count=frame_count(seconds, fps))

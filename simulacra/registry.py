"""The registry of GANs: by name, from installed packages and from files; and the settings of a run."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulacra import outside
from simulacra.config import updated
from simulacra.errors import SimulacraError, did_you_mean
from simulacra.gan import GAN, REGISTERED, register
from simulacra.messages import Message
from simulacra.settings import Preset, Settings, Shape

HIDDEN = "tiny"  # presets whose names begin so are for tests, and shown nowhere


def gans() -> dict[str, type[GAN]]:
    """All GANs by name, oldest first: every file in `gans/`, and entry points of installed packages."""
    package = importlib.import_module("simulacra.gans")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simulacra.gans.{module.name}")
    for name, value in outside.installed():
        for gan in [value] if isinstance(value, type) else classes_in(value):
            _register_from(gan, name)
    return dict(sorted(REGISTERED.items(), key=lambda item: (item[1].year, item[0])))


def classes_in(module: Any) -> list[type[GAN]]:
    """The GANs that a module defines."""
    values = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, GAN)]
    return [value for value in values if value.__module__ == module.__name__ and "name" in vars(value)]


def split_spec(spec: str) -> tuple[str, str]:
    """`"dcgan:celeba64"` -> `("dcgan", "celeba64")`; so for `file.py:Class:preset` and `package.module:Class:preset`."""
    file, python, rest = spec.partition(".py:")
    head, _, rest = (file + python[:-1], "", rest) if python else spec.partition(":")
    if not python and "." not in head:
        return head, rest
    if not python and (head.endswith(".py") or not rest):
        return head, ""
    name, _, preset = rest.partition(":")
    return f"{head}:{name}", preset


def short_name(spec: str) -> str:
    """A spec as a part of a folder's name: `dcgan-celeba64`, `Class-preset`."""
    name, preset = split_spec(spec)
    name = name.rpartition(":")[2] or name
    return "-".join(filter(None, [Path(name).stem, preset]))


def find(spec: str) -> type[GAN]:
    """The GAN of a spec, its preset aside: by name, as `path/file.py:Class` or as `package.module:Class`.

    A file or a module is executed. Raises `SimulacraError` for an unknown or broken one.
    """
    name, _ = split_spec(spec)
    if "." in name:
        return _from_outside(name)
    names = gans()
    if name not in names:
        hint = did_you_mean(name, names) or Message("gan.choices", names=list(names))
        raise SimulacraError("gan.unknown", name=name, hint=hint)
    return names[name]


def _from_outside(where: str) -> type[GAN]:
    head, _, name = where.partition(".py:") if ".py:" in where else where.partition(":")
    path = Path(f"{head}.py" if ".py:" in where else head).expanduser()
    gans()  # first, so that a file that takes a known name is a warning
    if path.suffix == ".py":
        path = path.resolve()
        module, source = outside.from_file(path), str(path)
    else:
        module, source = outside.from_module(head), head
    classes = {gan.__name__: gan for gan in classes_in(module)}
    if not name and len(classes) == 1:
        (name,) = classes
    if name not in classes:
        hint = did_you_mean(name, classes) or Message("gan.choices", names=list(classes) or ["-"])
        raise SimulacraError("gan.no_such_class", name=name, where=source, hint=hint)
    return _register_from(classes[name], f"{source}:{name}")


def _register_from(gan: type[GAN], source: str) -> type[GAN]:
    if REGISTERED.get(gan.name) is not gan:
        register(gan)
    gan.source = source
    return gan


def provenance(name: str) -> dict[str, str]:
    """Where the GAN `name` comes from, for a `config.json`: empty for one that is built in."""
    gan = REGISTERED.get(name)
    if gan is None or not gan.source:
        return {}
    file = _file_of(gan.source)
    return {"gan_source": gan.source} | ({"gan_sha256": outside.sha256(file)} if file else {})


def find_stored(about: Mapping[str, Any], *, trusted: bool) -> type[GAN]:
    """The GAN that a `config.json` names, imported anew where it is not built in.

    trusted: the file is a run of the user's own. Otherwise nothing is executed but a file at the recorded path with the
    recorded content hash. Raises `SimulacraError`, which says what to install or which file is missing.
    """
    name, source = str(about["gan"]), str(about.get("gan_source", ""))
    if not source or (name in REGISTERED and REGISTERED[name].source == source):
        return find(name)
    file = _file_of(source)
    if file is None and ":" not in source:
        if name not in gans():
            raise SimulacraError("gan.missing_package", name=name, package=source)
        return find(name)
    if file is not None and not file.is_file():
        raise SimulacraError("gan.missing_file", path=file)
    if not trusted and (file is None or outside.sha256(file) != about.get("gan_sha256")):
        raise SimulacraError("gan.untrusted", name=name, source=source)
    return find(source)


def _file_of(source: str) -> Path | None:
    file, python, _ = source.partition(".py:")
    return Path(f"{file}.py") if python and Path(file).is_absolute() else None


# --- settings of a run ------------------------------------------------------------------------------------------


def configured(
    spec: str,
    shape: Shape,
    settings: Mapping[str, Any],
    *,
    labels: int = 0,
    attributes: bool = False,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[type[GAN], Settings]:
    """The GAN of a spec (see `find`; a preset after a colon) and its settings for pictures of `shape` (C, H, W).

    settings: the user's, over the preset's. defaults: between the two, and free to have no effect. labels, attributes:
    the classes or attributes of the data, for conditional GANs. Raises `SimulacraError` for an unknown GAN, preset or
    setting, a setting without effect, a preset for another size, and a conditional GAN without labels.
    """
    gan, (_, preset) = find(spec), split_spec(spec)
    name = gan.name
    config = updated(gan.Config(), {"shape": shape}, of=name)
    if preset:
        config = updated(config, _preset(gan, preset, spec, shape).settings, of=spec)
    for key in ("shape", "labels", "attributes"):
        if key in settings:
            raise SimulacraError("gan.setting_of_the_data", name=key)
    config = updated(config, {**(defaults or {}), **settings}, of=name)
    from_data = (
        {"labels": labels, "attributes": attributes} if config.conditional else {"labels": 0, "attributes": False}
    )
    config = updated(config, from_data, of=name)
    if config.conditional and not gan.takes_labels:
        able = sorted(name for name, other in gans().items() if other.takes_labels)
        raise SimulacraError("gan.not_conditional", name=name, names=able)
    if config.conditional and not labels:
        raise SimulacraError("gan.needs_labels", name=name)
    idle = gan.idle_settings(config)
    for key in settings:
        if key in idle:
            raise SimulacraError("gan.idle_setting", gan=name, name=key, reason=idle[key])
    return gan, config


def _preset(gan: type[GAN], preset: str, spec: str, shape: Shape) -> Preset:
    if preset not in gan.presets:
        names = [name for name in gan.presets if not name.startswith(HIDDEN)]
        hint = did_you_mean(preset, names) or Message("gan.choices", names=names) if names else ""
        raise SimulacraError("gan.unknown_preset" if names else "gan.no_presets", gan=gan.name, name=preset, hint=hint)
    chosen = gan.presets[preset]
    if chosen.size and shape[1:] != (chosen.size, chosen.size):
        size = f"{shape[2]}x{shape[1]}"
        raise SimulacraError("gan.preset_of_another_size", spec=spec, side=chosen.size, size=size, gan=gan.name)
    return chosen

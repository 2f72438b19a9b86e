"""What a person keeps of a model: starred pictures and the history, as recipes in a JSON file beside the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from filelock import FileLock

from simulacra.errors import SimulacraError
from simulacra.explore.loaded import LoadedModel
from simulacra.files import atomic_file, disk_errors, read_json
from simulacra.latent.recipe import Recipe, from_json, to_json
from simulacra.latent.saved import user_folder

FORMAT = "simulacra-gallery-1"
MAX_STARS, MAX_HISTORY = 2000, 200
MAX_STAR_BYTES, MAX_HISTORY_BYTES = 16 << 20, 4 << 20  # of the recipes: one with a w per layer may take 100 kB


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Recipes as JSON, the newest last. first: seed of the picture that the page shows first, once it is known."""

    stars: tuple[dict[str, Any], ...] = ()
    history: tuple[dict[str, Any], ...] = ()
    first: int | None = None


class Gallery:
    """The gallery of a model. Nothing is held in memory, so that several pages and servers can share it.

    Its file is named by the model's fingerprint: another model that is trained in the same folder draws other pictures.
    All methods raise `SimulacraError` for a damaged file, and those that write for a folder that cannot be written to.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.path = user_folder(model.folder) / "gallery" / f"{model.fingerprint}.json"

    def read(self) -> Contents:
        """What is kept."""
        if not self.path.exists():
            return Contents()
        record = read_json(self.path)
        try:
            if record["format"] != FORMAT:
                raise ValueError(record["format"])
            first = record["first"]
            return Contents(
                stars=tuple(to_json(from_json(recipe)) for recipe in record["stars"]),
                history=tuple(to_json(from_json(recipe)) for recipe in record["history"]),
                first=None if first is None else int(first),
            )
        except (KeyError, TypeError, ValueError, SimulacraError) as error:
            raise SimulacraError("explore.gallery_damaged", path=self.path, reason=error) from error

    def change(
        self, *, star: Sequence[Recipe] = (), unstar: Sequence[Recipe] = (), history: Sequence[Recipe] = ()
    ) -> Contents:
        """Add and remove stars, and add to the history, whose oldest pictures are dropped. Returns what is then kept.

        Raises `SimulacraError` for more stars than there may be.
        """
        with self._changing() as contents:
            removed = set(map(_key, map(to_json, unstar)))
            stars = _joined((recipe for recipe in contents.stars if _key(recipe) not in removed), map(to_json, star))
            if len(stars) > MAX_STARS or sum(map(_size, stars)) > MAX_STAR_BYTES:
                raise SimulacraError("explore.gallery_full", most=MAX_STARS, megabytes=MAX_STAR_BYTES >> 20)
            newest = list(map(to_json, history))
            keys = set(map(_key, newest))
            visited = _joined((recipe for recipe in contents.history if _key(recipe) not in keys), newest)[
                -MAX_HISTORY:
            ]
            while sum(map(_size, visited)) > MAX_HISTORY_BYTES:
                visited.pop(0)
            changed = replace(contents, stars=tuple(stars), history=tuple(visited))
            self._write(changed)
        return changed

    def remember_first(self, seed: int) -> None:
        """Keep the seed of the page's first picture."""
        with self._changing() as contents:
            self._write(replace(contents, first=seed))

    def rename_direction(self, old: str, new: str) -> None:
        """Rename a direction in all recipes."""
        if not self.path.exists():
            return
        with self._changing() as contents:
            stars, history = (tuple(_renamed(r, old, new) for r in part) for part in (contents.stars, contents.history))
            self._write(replace(contents, stars=stars, history=history))

    @contextmanager
    def _changing(self) -> Iterator[Contents]:
        """What is kept, while no other page or process changes it."""
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_suffix(".lock"))
            lock.acquire()
        try:
            yield self.read()
        finally:
            lock.release()

    def _write(self, contents: Contents) -> None:
        record = {"format": FORMAT, "first": contents.first, "stars": contents.stars, "history": contents.history}
        with atomic_file(self.path) as file:
            file.write((json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _key(recipe: Mapping[str, Any]) -> str:
    return json.dumps(recipe, sort_keys=True)


def _size(recipe: Mapping[str, Any]) -> int:
    return len(_key(recipe))


def _joined(*parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All recipes in order, each once."""
    return list({_key(recipe): recipe for part in parts for recipe in part}.values())


def _renamed(recipe: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    changed = dict(recipe)
    if "edits" in changed:
        changed["edits"] = {new if name == old else name: edit for name, edit in changed["edits"].items()}
    if "other" in changed:
        changed["other"] = _renamed(changed["other"], old, new)
    return changed

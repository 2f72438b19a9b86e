"""Models on the Hugging Face Hub: `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`, downloaded into the cache as a model folder.

Nothing is downloaded but the files that a model folder has, all of them safetensors or JSON, of one commit. Each is
checked against the hash that the Hub lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from filelock import FileLock

import simulacra
from simulacra.console import warn
from simulacra.doctor import missing
from simulacra.errors import SimulacraError
from simulacra.files import JsonObject, atomic_folder, cache_folder, discard, disk_errors, read_json, write_json
from simulacra.records import wrong_entry

PREFIX = "hub:"
RECORD, REVISIONS = "hub.json", "revisions.json"  # in a downloaded folder; in the folder of a repository
MODEL_FORMAT = "simulacra-model-"  # how the format of a model's config.json begins
NAMES = re.compile(
    r"(upscale/x[248]/)?(config\.json|G\.safetensors)|D\.safetensors|directions\.safetensors|certificate\.json"
)
NEEDED = ("config.json", "G.safetensors")
MAX_BYTES, MAX_JSON = 4 << 30, 16 << 20  # of all files, and of one of JSON
TIMEOUT = 20.0  # seconds
CLIENT: dict[str, Any] = {
    "library_name": "simulacra",
    "library_version": simulacra.__version__,
}  # what the Hub sees of its client
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
REPOSITORY = re.compile(f"{_WORD}/{_WORD}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
COMMIT = re.compile(r"[0-9a-f]{40}")


class HubRecord(TypedDict):
    """What a downloaded folder says of itself."""

    files: dict[str, str]  # name -> SHA-256


@dataclass(frozen=True)
class HubName:
    """A model of the Hub. revision: a branch, a tag or a commit."""

    repository: str  # OWNER/NAME
    revision: str = "main"

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}@{self.revision}"


def is_hub(where: object) -> bool:
    """Whether `where` names a model of the Hub, not a folder."""
    return str(where).startswith(PREFIX)


def parse_repository(text: str) -> str:
    """A repository's name without `hub:`. Raises `SimulacraError` where it is not OWNER/NAME."""
    name = text.removeprefix(PREFIX)
    if not REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise SimulacraError("hub.bad_repository", name=text)
    return name


def parse(where: str | Path) -> HubName:
    """The model that `hub:OWNER/NAME@REVISION` names. Raises `SimulacraError` for another form."""
    repository, at, revision = str(where).removeprefix(PREFIX).partition("@")
    name = HubName(parse_repository(repository))
    if not at:
        return name
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise SimulacraError("hub.bad_revision", name=where, revision=revision)
    return replace(name, revision=revision)


def endpoint() -> str | None:
    """The Hub's address, where `HF_ENDPOINT` names another one."""
    return os.environ.get("HF_ENDPOINT") or None


def address() -> str:
    """The Hub's address, for people."""
    return endpoint() or "https://huggingface.co"


def open_folder(where: str | Path) -> Path:
    """The folder of a model of the Hub. What a name stands for stays the same within a process.

    Raises `SimulacraError` for a name that is none, and for what the Hub does not have or does not give.
    """
    return _resolve(parse(where))[1]


def pinned(where: str | Path) -> str:
    """The name of a model of the Hub with the commit that it stands for, `hub:OWNER/NAME@COMMIT`."""
    name = parse(where)
    return str(replace(name, revision=_resolve(name)[0]))


def is_downloaded(folder: Path) -> bool:
    """Whether a model's folder is in the cache of downloaded models, where nothing is written."""
    return folder.resolve().is_relative_to(_root().resolve())


def _root() -> Path:
    return cache_folder() / "hub"


def _place(name: HubName, commit: str) -> Path:
    """The folder of a commit; its own name is the repository's, which people know the model by."""
    owner, title = name.repository.split("/")
    return _root() / owner / commit / title


_resolved: dict[tuple[HubName, str | None, Path], tuple[str, Path]] = {}


def _resolve(name: HubName) -> tuple[str, Path]:
    """The commit that a name stands for, and its folder, downloaded if need be."""
    key = (name, endpoint(), _root())
    if key not in _resolved or not _resolved[key][1].is_dir():
        home = _root() / name.repository.split("/")[0]
        with disk_errors(home):
            home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f".{name.repository.split('/')[1]}.lock"):
            commit = _fetch(name, home / name.repository.split("/")[1] / REVISIONS)
        _resolved[key] = commit, _place(name, commit)
    return _resolved[key]


def _fetch(name: HubName, remembered: Path) -> str:
    """See that the files of a name are in the cache; returns its commit. remembered: file of the commits by revision."""
    if COMMIT.fullmatch(name.revision) and _is_whole(_place(name, name.revision)):
        return name.revision
    commits = _read(remembered)
    try:
        info = _ask(name)
    except SimulacraError as error:
        commit = str(commits.get(name.revision))
        if error.code != "hub.no_network" or not COMMIT.fullmatch(commit) or not _is_whole(_place(name, commit)):
            raise
        warn("hub.offline", name=str(name), commit=commit)
        return commit
    commit = str(info.sha)
    if not COMMIT.fullmatch(commit):
        raise SimulacraError("hub.unreadable", name=name.repository, endpoint=address(), reason=f"sha {commit[:60]}")
    folder = _place(name, commit)
    if not _is_whole(folder):
        if folder.exists():
            discard(folder)
        _download(name, commit, _chosen(name, info), folder)
    if commit != name.revision:
        write_json(remembered, commits | {name.revision: commit})
        warn("hub.opened", name=str(name), pinned=str(replace(name, revision=commit)))
    return commit


def _is_whole(folder: Path) -> bool:
    """Whether all files of a downloaded folder are those that were downloaded."""
    record = _read(folder / RECORD)
    if wrong_entry(record, HubRecord) is not None or not all(map(NAMES.fullmatch, record["files"])):
        return False
    return all(
        (folder / name).is_file() and _sha256(folder / name) == digest for name, digest in record["files"].items()
    )


def _read(path: Path) -> JsonObject:
    """A JSON object of the cache; empty where there is none, or a damaged one."""
    with contextlib.suppress(SimulacraError):
        record = read_json(path)
        return record if isinstance(record, dict) else {}
    return {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the Hub ----------------------------------------------------------------------------------------------------------


def require_library() -> None:
    """Raise `SimulacraError`, which says what to install, where the library of the Hub is missing."""
    if modules := missing("hub"):
        raise SimulacraError("hub.extra_missing", modules=list(modules))


@contextlib.contextmanager
def hub_errors(name: HubName) -> Iterator[None]:
    """Convert the errors of the Hub's library to sentences about a model."""
    import httpx2
    from huggingface_hub import errors

    values: dict[str, Any] = {"name": name.repository, "endpoint": address()}
    try:
        yield
    except errors.GatedRepoError as error:
        raise SimulacraError("hub.gated", **values) from error
    except errors.RepositoryNotFoundError as error:
        raise SimulacraError("hub.no_repository", **values) from error
    except errors.RevisionNotFoundError as error:
        raise SimulacraError("hub.no_revision", revision=name.revision, **values) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        code = "hub.not_permitted" if status in (401, 403) else "hub.refused"
        raise SimulacraError(code, status=status, reason=_first_line(error), **values) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise SimulacraError("hub.no_network", reason=_first_line(error), **values) from error
    except (errors.EntryNotFoundError, KeyError, TypeError, ValueError) as error:
        raise SimulacraError("hub.unreadable", reason=_first_line(error), **values) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise SimulacraError("hub.unreadable", reason=_first_line(error), **values) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _ask(name: HubName) -> Any:
    """What the Hub says of a revision: its commit, and its files with sizes and hashes."""
    require_library()
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint(), **CLIENT)
    with hub_errors(name):
        return api.model_info(name.repository, revision=name.revision, files_metadata=True, timeout=TIMEOUT)


def _chosen(name: HubName, info: Any) -> list[Any]:
    """The files to download, config.json first; all others stay on the Hub, whatever they are called."""
    files = {file.rfilename: file for file in info.siblings or [] if NAMES.fullmatch(file.rfilename)}
    if not all(needed in files for needed in NEEDED):
        raise SimulacraError("hub.not_a_model", name=name.repository)
    for path, file in files.items():
        if not isinstance(file.size, int) or file.size > (MAX_JSON if path.endswith(".json") else MAX_BYTES):
            raise SimulacraError("hub.too_large", name=name.repository, file=path, size=size_text(file.size or 0))
    total = sum(file.size for file in files.values())
    if total > MAX_BYTES:
        raise SimulacraError("hub.too_large", name=name.repository, file=", ".join(files), size=size_text(total))
    return sorted(files.values(), key=lambda file: file.rfilename != "config.json")


def size_text(size: float) -> str:
    """Bytes as `812 B`, `14.2 kB` or `1.3 MB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _download(name: HubName, commit: str, files: list[Any], folder: Path) -> None:
    from huggingface_hub import hf_hub_download

    with atomic_folder(folder) as temporary:
        for file in files:
            with hub_errors(name), disk_errors(temporary):
                hf_hub_download(
                    name.repository, file.rfilename, revision=commit, local_dir=temporary, endpoint=endpoint(),
                    etag_timeout=TIMEOUT, **CLIENT,
                )  # fmt: skip
            if not _is_the_listed(temporary / file.rfilename, file):
                raise SimulacraError("hub.tampered", name=name.repository, file=file.rfilename, commit=commit)
            if file.rfilename == "config.json":
                _check_model(name, temporary / "config.json")
        shutil.rmtree(temporary / ".cache", ignore_errors=True)  # the library's notes
        digests = {file.rfilename: _sha256(temporary / file.rfilename) for file in files}
        origin = {"repository": name.repository, "revision": name.revision, "commit": commit, "endpoint": address()}
        write_json(temporary / RECORD, origin | {"files": digests})


def _is_the_listed(path: Path, file: Any) -> bool:
    """Whether a downloaded file has the hash that the Hub lists: of its content, or of git's blob where it is small."""
    if file.lfs is not None:
        return bool(_sha256(path) == file.lfs.sha256)
    content = path.read_bytes()
    return bool(hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id)


def _check_model(name: HubName, config: Path) -> None:
    """Raise `SimulacraError` where config.json is that of another library, before its weights are downloaded."""
    if not str(_read(config).get("format")).startswith(MODEL_FORMAT):
        raise SimulacraError("hub.not_a_model", name=name.repository)

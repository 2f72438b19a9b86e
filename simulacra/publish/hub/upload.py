"""`simulacra publish`: a model's folder for the Hugging Face Hub, and its upload in one commit."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import simulacra
from simulacra.errors import SimulacraError
from simulacra.files import atomic_folder
from simulacra.hub import HubName, endpoint, hub_errors, parse_repository, require_library
from simulacra.latent.saved import is_read_only
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test
from simulacra.publish.hub.card import model_card
from simulacra.publish.hub.contents import CERTIFICATE, is_published, own_certificate, read_contents, write_contents
from simulacra.publish.hub.licenses import choose_license
from simulacra.storage import model_folder


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` wrote."""

    files: dict[str, int]  # sizes in bytes by name
    evaluate: str = ""  # the command that makes the missing certificate; empty where there is one, or can be none
    url: str = ""  # of the commit; empty where nothing was uploaded
    name: str = ""  # with the commit, hub:OWNER/NAME@COMMIT
    obstacle: SimulacraError | None = None  # why nothing was uploaded, where that was asked for


def publish(
    where: str | Path,
    repository: str,
    *,
    license: str | None = None,
    ask: Callable[[], str] | None = None,
    out: str | Path | None = None,
    dry_run: bool = False,
    discriminator: bool = False,
    copies: bool = False,
) -> Published:
    """Write the folder of a model for the Hub, and upload it where there is a token.

    where: a run (its best checkpoint), a checkpoint or a model folder. license, ask: see `choose_license`. out: a new
    folder that stays. dry_run: upload nothing. discriminator: publish D.safetensors, too. copies: publish a model whose
    certificate says that it copies training pictures.

    Raises `SimulacraError` for such a model without `copies`, an `out` that exists, no license, and what the Hub refuses;
    without `out` also where nothing can be uploaded.
    """
    name, folder = HubName(parse_repository(repository)), model_folder(where)
    target = None if out is None else Path(out).expanduser()
    if target is not None and target.exists():
        raise SimulacraError("hub.folder_exists", path=target)
    about = model_under_test(folder)
    certificate = own_certificate(about) or {}
    if certificate.get("memorisation", {}).get("verdict") == "copying" and not copies:
        raise SimulacraError("hub.copies", model=where)
    obstacle = None if dry_run else _obstacle()
    if obstacle is not None and target is None:
        raise obstacle
    contents = read_contents(folder, choose_license(folder, license, ask), discriminator=discriminator)
    card, uploads = model_card(contents, name.repository), not dry_run and obstacle is None
    message = f"simulacra {simulacra.__version__}: {contents.about.hash}"
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary)
        if target is None:
            write_contents(contents, written, card)
        else:
            with atomic_folder(target) as written:
                write_contents(contents, written, card)
            written = target
        files = {path.relative_to(written).as_posix(): path.stat().st_size for path in _files(written)}
        url, commit = _upload(name, written, list(files), message) if uploads else ("", "")
    pinned = str(replace(name, revision=commit)) if commit else ""
    evaluate = "" if certificate else _evaluate(about)
    return Published(files=files, evaluate=evaluate, url=url, name=pinned, obstacle=obstacle)


def _evaluate(about: ModelUnderTest) -> str:
    """The command that makes a model's certificate; empty where nothing can be written beside the model."""
    if about.run is not None:
        return f"simulacra evaluate {shlex.quote(str(about.run))}"
    if is_read_only(about.folder):
        return ""
    return shlex.join(["simulacra", "evaluate", str(about.folder), "--out", str(about.folder / CERTIFICATE)])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _obstacle() -> SimulacraError | None:
    """Why nothing can be uploaded from this machine; None where it can."""
    try:
        require_library()
    except SimulacraError as error:
        return error
    from huggingface_hub import get_token

    return None if get_token() else SimulacraError("hub.no_token")


def _upload(name: HubName, folder: Path, files: list[str], message: str) -> tuple[str, str]:
    """Upload files in one commit, which deletes those of an earlier publication; returns its address and its hash."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=endpoint(), library_name="simulacra", library_version=simulacra.__version__)
    with hub_errors(name):
        api.create_repo(name.repository, exist_ok=True)
        existing = [file.rfilename for file in api.model_info(name.repository).siblings or []]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(file, folder / file) for file in files
        ]
        operations += [CommitOperationDelete(file) for file in existing if is_published(file) and file not in files]
        commit = api.create_commit(name.repository, operations, commit_message=message)
    return str(commit.commit_url), str(commit.oid)

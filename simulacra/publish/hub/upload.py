"""`simulacra publish`: a model's folder for the Hugging Face Hub, and its upload in one commit."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import simulacra
from simulacra.errors import SimulacraError
from simulacra.files import atomic_folder
from simulacra.hub import CLIENT, HubName, endpoint, hub_errors, parse_repository, require_library
from simulacra.latent.saved import is_read_only
from simulacra.measure.model_under_test import ModelUnderTest, model_under_test
from simulacra.publish.hub.card import model_card
from simulacra.publish.hub.contents import (
    CERTIFICATE,
    Contents,
    is_published,
    own_certificate,
    read_contents,
    write_contents,
)
from simulacra.publish.hub.licenses import choose_license
from simulacra.publish.hub.space import check_space, write_space
from simulacra.storage import model_folder


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` wrote."""

    files: dict[str, int]  # sizes in bytes by name
    space: dict[str, int]  # the same of the Space; empty without one
    evaluate: str = ""  # the command that makes the missing certificate; empty where there is one, or can be none
    url: str = ""  # of the commit; empty where nothing was uploaded
    space_url: str = ""
    name: str = ""  # with the commit, hub:OWNER/NAME@COMMIT
    obstacle: SimulacraError | None = None  # why nothing was uploaded, where that was asked for


def publish(
    where: str | Path,
    repository: str,
    *,
    license: str | None = None,
    ask: Callable[[], str] | None = None,
    out: str | Path | None = None,
    space: bool = False,
    dry_run: bool = False,
    discriminator: bool = False,
    copies: bool = False,
) -> Published:
    """Write the folder of a model for the Hub, and upload it where there is a token.

    where: a run (its best checkpoint), a checkpoint or a model folder. license, ask: see `choose_license`. out: a new
    folder that stays. space: also a static Space of the same name; its folder is `out` with `-space`. dry_run: upload
    nothing. discriminator: publish D.safetensors, too. copies: publish a model whose certificate says that it copies
    training pictures.

    Raises `SimulacraError` for such a model without `copies`, an `out` that exists, no license, and what the Hub refuses;
    without `out` also where nothing can be uploaded.
    """
    name, folder = HubName(parse_repository(repository)), model_folder(where)
    targets = _targets(out, space)
    about = model_under_test(folder)
    certificate = own_certificate(about) or {}
    if certificate.get("memorisation", {}).get("verdict") == "copying" and not copies:
        raise SimulacraError("hub.copies", model=where)
    if space:
        check_space(about)
    obstacle = None if dry_run else _obstacle()
    if obstacle is not None and not targets:
        raise obstacle
    contents = read_contents(folder, choose_license(folder, license, ask), discriminator=discriminator)
    published = _deliver(contents, name, targets, space=space, upload=not dry_run and obstacle is None)
    return replace(published, obstacle=obstacle, evaluate="" if certificate else _evaluate(about))


def _deliver(contents: Contents, name: HubName, targets: list[Path], *, space: bool, upload: bool) -> Published:
    """Write the folders, copy them to the targets, if there are any, and upload them."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = _write(contents, name, Path(temporary), space)
        for target, written in zip(targets, folders.values(), strict=False):
            with atomic_folder(target) as copy:
                shutil.copytree(written, copy, dirs_exist_ok=True)
        files = {kind: _sizes(written) for kind, written in folders.items()}
        commits = {kind: _upload(name, written, kind) for kind, written in folders.items()} if upload else {}
    url, commit = commits.get("model", ("", ""))
    return Published(
        files=files["model"], space=files.get("space", {}), url=url, space_url=commits.get("space", ("", ""))[0],
        name=str(replace(name, revision=commit)) if commit else "",
    )  # fmt: skip


def _targets(out: str | Path | None, space: bool) -> list[Path]:
    """The new folders for the model and the Space. Raises `SimulacraError` for one that exists."""
    if out is None:
        return []
    target = Path(out).expanduser()
    targets = [target, target.with_name(f"{target.name}-space")] if space else [target]
    for path in targets:
        if path.exists():
            raise SimulacraError("hub.folder_exists", path=path)
    return targets


def _write(contents: Contents, name: HubName, temporary: Path, space: bool) -> dict[str, Path]:
    """Write the folders below `temporary`, by kind of repository; their own name is the repository's."""
    title = name.repository.rpartition("/")[2]
    folders = {"model": temporary / "model" / title}
    folders["model"].mkdir(parents=True)
    write_contents(contents, folders["model"], model_card(contents, name.repository))
    if space:
        folders["space"] = temporary / "space" / title
        write_space(contents, name, folders["model"], folders["space"])
    return folders


def _sizes(folder: Path) -> dict[str, int]:
    """The files of a folder and their sizes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


def _evaluate(about: ModelUnderTest) -> str:
    """The command that makes a model's certificate; empty where nothing can be written beside the model."""
    if about.run is not None:
        return f"simulacra evaluate {shlex.quote(str(about.run))}"
    if is_read_only(about.folder):
        return ""
    return shlex.join(["simulacra", "evaluate", str(about.folder), "--out", str(about.folder / CERTIFICATE)])


def _obstacle() -> SimulacraError | None:
    """Why nothing can be uploaded from this machine; None where it can."""
    try:
        require_library()
    except SimulacraError as error:
        return error
    from huggingface_hub import get_token

    return None if get_token() else SimulacraError("hub.no_token")


def _upload(name: HubName, folder: Path, kind: str) -> tuple[str, str]:
    """Upload a folder in one commit, which deletes files of an earlier publication; returns its address and its hash."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, files = HfApi(endpoint=endpoint(), **CLIENT), list(_sizes(folder))
    with hub_errors(name):
        api.create_repo(name.repository, repo_type=kind, exist_ok=True, space_sdk="static" if kind == "space" else None)
        existing = api.model_info(name.repository).siblings or [] if kind == "model" else []
        old = [file.rfilename for file in existing if is_published(file.rfilename) and file.rfilename not in files]
        operations: list[Any] = [CommitOperationAdd(file, folder / file) for file in files]
        operations += [CommitOperationDelete(file) for file in old]
        message = f"simulacra {simulacra.__version__}"
        commit = api.create_commit(name.repository, operations, commit_message=message, repo_type=kind)
    return str(commit.commit_url), str(commit.oid)

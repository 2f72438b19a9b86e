"""A small Hugging Face Hub on 127.0.0.1: repositories in memory with their commits, and a log of all requests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Files = dict[str, bytes]
TOKEN = "hf_of_the_tests"


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class FakeHub:
    """The Hub's state; a Space's name begins with `spaces/`. served: contents that are sent in place of the listed ones, by path."""

    endpoint: str = ""
    commits: dict[str, dict[str, Files]] = field(default_factory=dict)  # repository -> commit -> files
    branches: dict[str, dict[str, str]] = field(default_factory=dict)  # repository -> branch or tag -> commit
    requests: list[tuple[str, str]] = field(default_factory=list)  # method and path
    served: Files = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)  # listed in place of the true ones, by path
    answer: str = ""  # to questions about a model, in place of the true one

    def commit(self, repository: str, files: Files, branch: str = "main") -> str:
        """Make `files` the content of a repository; returns the commit."""
        commits = self.commits.setdefault(repository, {})
        commit = hashlib.sha1(f"{repository} {len(commits)}".encode()).hexdigest()
        commits[commit] = dict(files)
        self.branches.setdefault(repository, {})[branch] = commit
        return commit

    def files(self, repository: str, branch: str = "main") -> Files:
        """The content of a branch."""
        return self.commits[repository][self.branches[repository][branch]]

    def find(self, repository: str, revision: str) -> tuple[str, Files] | Response:
        """A commit and its files, or the answer where there is none."""
        if repository not in self.commits:
            return refusal(404, "RepoNotFound")
        if repository in self.gated:
            return refusal(403, "GatedRepo")
        commit = self.branches[repository].get(revision, revision)
        if commit not in self.commits[repository]:
            return refusal(404, "RevisionNotFound")
        return commit, self.commits[repository][commit]

    def application(self) -> Starlette:
        """The routes that the library uses."""
        model, any_kind = "/api/models/{owner}/{name}", "/api/{kind}/{owner}/{name}"
        return Starlette(
            routes=[
                Route(model, self.info),
                Route(model + "/revision/{revision:path}", self.info),
                Route("/api/repos/create", self.create, methods=["POST"]),
                Route("/api/validate-yaml", self.validate, methods=["POST"]),
                Route(any_kind + "/preupload/{revision}", self.preupload, methods=["POST"]),
                Route(any_kind + "/commit/{revision}", self.receive, methods=["POST"]),
                Route("/{owner}/{name}/resolve/{revision}/{path:path}", self.resolve, methods=["GET", "HEAD"]),
            ]
        )

    def seen(self, request: Request) -> str:
        """The repository that a request is about; logs the request."""
        self.requests.append((request.method, request.url.path))
        name = "/".join(request.path_params.get(key, "") for key in ("owner", "name"))
        return f"spaces/{name}" if request.path_params.get("kind") == "spaces" else name

    def info(self, request: Request) -> Response:
        """Commit and files of a revision; safetensors are LFS files, all others git's."""
        repository = self.seen(request)
        found = self.find(repository, request.path_params.get("revision", "main"))
        if isinstance(found, Response):
            return found
        if self.answer:
            return Response(self.answer)
        siblings = []
        for path, content in found[1].items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"rfilename": path, "size": self.sizes.get(path, len(content)), "blobId": blob}
            if path.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return JSONResponse({"id": repository, "sha": found[0], "siblings": siblings, "tags": [], "private": False})

    async def create(self, request: Request) -> Response:
        """A new repository with an empty commit."""
        self.seen(request)
        body = await request.json()
        repository = f"{body['organization']}/{body['name']}"
        if body.get("type") == "space":
            assert body["sdk"] == "static"
            repository = f"spaces/{repository}"
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(401, "", "Invalid username or password.")
        if repository in self.commits:
            return JSONResponse({"error": "You already created it", "url": f"{self.endpoint}/{repository}"}, 409)
        self.commit(repository, {})
        return JSONResponse({"url": f"{self.endpoint}/{repository}", "name": repository})

    async def validate(self, request: Request) -> Response:
        """The card's YAML is taken as it is."""
        self.seen(request)
        return JSONResponse({"errors": [], "warnings": []})

    async def preupload(self, request: Request) -> Response:
        """All files come with the commit."""
        self.seen(request)
        files = [
            {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
            for file in (await request.json())["files"]
        ]
        return JSONResponse({"files": files})

    async def receive(self, request: Request) -> Response:
        """A commit, as lines of JSON."""
        repository = self.seen(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(403, "", "Forbidden")
        files = dict(self.files(repository))
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                del files[entry["value"]["path"]]
        commit = self.commit(repository, files)
        url = f"{self.endpoint}/{repository}/commit/{commit}"
        return JSONResponse({"commitUrl": url, "commitOid": commit, "hookOutput": "", "success": True})

    def resolve(self, request: Request) -> Response:
        """The content of a file."""
        repository = self.seen(request)
        found = self.find(repository, request.path_params["revision"])
        if isinstance(found, Response):
            return found
        path = request.path_params["path"]
        if path not in found[1]:
            return refusal(404, "EntryNotFound")
        content = self.served.get(path, found[1][path])
        etag = hashlib.sha256(found[1][path]).hexdigest()
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{etag}"', "Content-Length": str(len(content))}
        return Response(b"" if request.method == "HEAD" else content, headers=headers)


def refusal(status: int, code: str, message: str = "") -> Response:
    """An answer as the Hub gives it."""
    headers = ({"X-Error-Code": code} if code else {}) | {"X-Error-Message": message or code}
    return JSONResponse({"error": message or code}, status, headers)


@contextlib.contextmanager
def serving() -> Iterator[FakeHub]:
    """A Hub that answers until the block ends."""
    hub = FakeHub()
    port = free_port()
    hub.endpoint = f"http://127.0.0.1:{port}"
    server = uvicorn.Server(uvicorn.Config(hub.application(), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    assert server.started
    try:
        yield hub
    finally:
        server.should_exit = True
        thread.join(10)

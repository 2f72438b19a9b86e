"""Write ONNX Runtime Web into the package, for exhibits: its smallest WebAssembly build, the loader, and the licence.

python scripts/runtime.py          (needs npm, and the extra `onnx` for the licence's text)

npm checks the archive against the registry; the script checks it against `INTEGRITY`. The manifest lists what was written.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.metadata
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
LOADER = "ort.wasm.bundle.min.mjs"
TARGET = Path(__file__).resolve().parent.parent / "simulacra" / "publish" / "exhibit" / "runtime"


def archive(folder: Path) -> Path:
    """Download the npm package. Exits where its hash is not `INTEGRITY`."""
    words = ["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"]
    name = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    digest = base64.b64encode(hashlib.sha512((folder / name).read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        sys.exit(f"{name} has another hash than INTEGRITY says.")
    return folder / name


def smallest_build(package: tarfile.TarFile) -> str:
    """Name of the smallest WebAssembly build in the npm package."""
    builds = [member for member in package.getmembers() if member.name.endswith(".wasm")]
    return min(builds, key=lambda member: member.size).name


def licence() -> bytes:
    """The licence of ONNX Runtime: the npm package names it without its text, the Python package has the text."""
    files = importlib.metadata.files("onnxruntime") or []
    return next(Path(str(file.locate())) for file in files if file.name == "LICENSE").read_bytes()


def read(package: tarfile.TarFile, name: str) -> bytes:
    """The bytes of a file in the archive."""
    file = package.extractfile(name)
    assert file is not None
    return file.read()


def main() -> None:
    """Write the runtime and its manifest."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive(Path(folder))) as package:
        build = smallest_build(package)
        loader = read(package, f"package/dist/{LOADER}").decode().split("//# sourceMappingURL")[0].encode()
        files = {LOADER: loader, "LICENSE": licence()}
        files[f"{Path(build).name}.gz"] = gzip.compress(read(package, build), 9, mtime=0)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (TARGET / name).write_bytes(data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    manifest = {"package": "onnxruntime-web", "version": VERSION, "license": "MIT", "sha256": hashes}
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for name, data in files.items():
        sys.stdout.write(f"{name}: {len(data):,} bytes\n")


if __name__ == "__main__":
    main()

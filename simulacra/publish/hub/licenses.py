"""The license of a published model: given, asked for once, or remembered in `publish.json` of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simulacra.errors import SimulacraError, did_you_mean
from simulacra.files import read_json, write_json
from simulacra.latent.saved import is_read_only, user_folder

FILE = "publish.json"
COMMON = ("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "mit", "apache-2.0", "openrail", "other")
LICENSES = (  # as the Hub spells them
    *COMMON,
    "afl-3.0", "agpl-3.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "c-uda",
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cdla-permissive-1.0",
    "cdla-permissive-2.0", "cdla-sharing-1.0", "creativeml-openrail-m", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0",
    "eupl-1.1", "eupl-1.2", "gfdl", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mpl-2.0", "ms-pl", "ncsa",
    "odbl", "odc-by", "ofl-1.1", "openrail++", "osl-3.0", "pddl", "postgresql", "unknown", "unlicense", "wtfpl", "zlib",
)  # fmt: skip


def choose_license(folder: Path, given: str | None, ask: Callable[[], str] | None) -> str:
    """The license of the model in `folder`; remembered where the model may be written to.

    given: by the user. ask: called where none is given or remembered; None where nobody can be asked. Raises
    `SimulacraError` for a license that the Hub does not know, and where there is none.
    """
    path = user_folder(folder) / FILE
    own = not is_read_only(folder)
    remembered = read_json(path) if own and path.is_file() else {}
    name = given or (remembered.get("license") if isinstance(remembered, dict) else None)
    if not name:
        if ask is None:
            raise SimulacraError("hub.no_license", common=COMMON)
        name = ask()
    name = str(name).strip().lower()
    if name not in LICENSES:
        raise SimulacraError("hub.unknown_license", name=name, common=COMMON, hint=did_you_mean(name, LICENSES))
    if own and remembered != {"license": name}:
        write_json(path, {"license": name})
    return name

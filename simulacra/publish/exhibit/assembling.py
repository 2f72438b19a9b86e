"""The file of an exhibit: ES modules joined into one script, and a page whose policy allows that script alone."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import simulacra

PACKAGE = Path(simulacra.__file__).parent
OWN = Path(__file__).parent / "static"
EXPLORER = PACKAGE / "explore" / "static"
RUNTIME = Path(__file__).parent / "runtime"
LOADER = RUNTIME / "ort.wasm.bundle.min.mjs"
LICENCE = RUNTIME / "LICENSE"  # which copies of the runtime must carry
WASM = RUNTIME / "ort-wasm-simd-threaded.wasm.gz"
TABS = ("gallery", "directions", "mix", "walk", "live", "numbers", "nearest", "certificate")
ENTRY = "main.js"

IMPORT = re.compile(r'^import (?:\* as (?P<whole>\w+)|\{(?P<names>[^}]*)\}) from "\./(?P<module>[\w-]+\.js)";$', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) (?P<name>\w+))", re.M)
DYNAMIC = re.compile(r"(?<![\w.])import\((?=[\"`]\./)")
LOADER_EXPORTS = re.compile(r"export\{([^}]*)\};\s*$")
UNSAFE = re.compile(r"</script|<!--", re.I)


def script() -> str:
    """The page's script. The worker's is a text in it, so that the policy's hash is of both."""
    text = _joined([*(f"tab-{tab}.js" for tab in TABS), ENTRY])
    assert not UNSAFE.search(text)  # it would end the script
    return text


def _joined(names: Iterable[str]) -> str:
    """Modules as one script: each runs in a function of its own, after those that it imports."""
    ordered: dict[str, str] = {}
    for name in names:
        _place(name, ordered)
    parts = [
        "const $modules = {};",
        "const $load = async (path) => $modules[path.slice(2)];",
        *(f'$modules["{name}"] = await (async () => {{\n{body}\n}})();' for name, body in ordered.items()),
    ]
    return "\n".join(parts)


def _place(name: str, ordered: dict[str, str]) -> None:
    """Add a module behind those that it imports. An exhibit's own module takes the place of the explorer's."""
    if name in ordered:
        return
    if name in GENERATED:
        ordered[name] = GENERATED[name]()
        return
    path = OWN / name if (OWN / name).exists() else EXPLORER / name
    source = path.read_text(encoding="utf-8")
    for match in IMPORT.finditer(source):
        _place(match["module"], ordered)
    ordered[name] = _as_body(source, name)


def _as_body(source: str, name: str) -> str:
    """A module as the body of a function that returns its exports."""
    names = [match["name"] for match in EXPORT.finditer(source)]
    body = DYNAMIC.sub("$load(", EXPORT.sub("", IMPORT.sub(_imported, source)))
    assert not re.search(r"^(import|export)\b", body, re.M), name  # a form that is not known here
    return f"{body}return {{ {', '.join(f'get {name}() {{ return {name}; }}' for name in names)} }};"


def _imported(match: re.Match[str]) -> str:
    source = f'$modules["{match["module"]}"]'
    if match["whole"]:
        return f"const {match['whole']} = {source};"
    return f"const {{{match['names'].replace(' as ', ': ')}}} = {source};"


def _runtime() -> str:
    """The loader of ONNX Runtime Web, as the body of a function."""
    source = LOADER.read_text(encoding="utf-8")
    match = LOADER_EXPORTS.search(source)
    assert match is not None
    pairs = (word.split(" as ") for word in match[1].split(","))
    return f"{source[: match.start()]}return {{{', '.join(f'{name}: {inner}' for inner, name in pairs)}}};"


def _worker() -> str:
    """The worker's script as a text, as the body of a function.

    Browsers start no module from a file as a worker, and other scripts know no `import.meta`.
    """
    modules = _joined(["worker.js"]).replace("import.meta.url", "self.location.href")
    text = f'(async () => {{\n"use strict";\n{modules}\n}})();'
    return f"return {{ source: {_escaped(text)} }};"


GENERATED = {"ort.js": _runtime, "worker-source.js": _worker}  # modules without a file


def style() -> str:
    """The explorer's style, and what an exhibit adds."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (EXPLORER / "style.css", OWN / "exhibit.css"))


def html(texts: Mapping[str, Mapping[str, Any]], about: Mapping[str, Any], blocks: Mapping[str, bytes]) -> str:
    """The whole page. texts: messages by language. about: JSON that the page reads first. blocks: binary data by id."""
    code, look = script(), style()
    page = (EXPLORER / "index.html").read_text(encoding="utf-8")
    page = re.sub(r'^<(link|script)\b.*\n|^<meta name="color-scheme".*\n', "", page, flags=re.M)
    page = page.replace('href="/" hidden data-t="studio.back"', "hidden")  # there is no library to go back to
    icon = base64.b64encode((EXPLORER / "icon.svg").read_bytes()).decode()
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy(code, look)}">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:image/svg+xml;base64,{icon}">\n<style>{look}</style>\n'
    )
    data = [_json_block(f"messages-{language}", entries) for language, entries in texts.items()]
    data += [_json_block("exhibit", about), f'<script type="text/plain" id="licence">{LICENCE.read_text()}</script>']
    data += [_binary_block(name, content) for name, content in blocks.items()]
    data += [
        f'<script type="application/octet-stream" id="wasm">{base64.b64encode(WASM.read_bytes()).decode()}</script>'
    ]
    start, end = page.split('<meta charset="utf-8">\n')
    body, rest = end.split("</body>")
    scripts = "\n".join([*data, f'<script type="module">{code}</script>'])
    return f'{start}<meta charset="utf-8">\n{head}{body}{scripts}\n</body>{rest}'


def policy(code: str, look: str) -> str:
    """The page's Content-Security-Policy: this script and this style, its worker, WebAssembly, and no network."""
    allowed = f"script-src '{_digest(code)}' 'wasm-unsafe-eval'; style-src '{_digest(look)}'"
    return f"default-src 'none'; {allowed}; worker-src blob:; img-src data: blob:; media-src blob:; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json_block(name: str, content: Any) -> str:
    return f'<script type="application/json" id="{name}">{_escaped(content)}</script>'


def _escaped(content: Any) -> str:
    """JSON inside a script. Names and labels may hold anything: `<` is escaped, so that none ends the script."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _binary_block(name: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>'

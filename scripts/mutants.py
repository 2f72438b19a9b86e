"""Do the tests notice a wrong line? Mutants of important lines, chosen by a seed, against the tests of their modules.

    python scripts/mutants.py --out runs/mutants

A mutant is a copy of the repository with one place of one module changed: a comparison, an operator, a constant, `and` or `or`,
a value that is returned, or a statement that is left out. Its tests must fail. The rows are in `mutants.json` of the folder; a
second call carries on where the first one stopped. Linux and macOS only: each mutant is tested in a fork, which has torch imported.
"""
# Not mutmut or cosmic-ray: they make every mutant of a file, start Python anew for each, and choose no few of them by a seed.

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
sys.dont_write_bytecode = True  # two mutants of one size, written within a second, would share their bytecode

import pytest  # noqa: E402
import torch  # noqa: E402, F401  # the forks inherit it

ROOT = Path(__file__).resolve().parent.parent
TESTS = {  # the tests of each important module, the quickest first
    "losses.py": "losses sngan cgan",
    "seeds.py": "sampling recipe",
    "files.py": "files platforms faults torn_writes",
    "storage.py": "registry old_runs faults files damaged_runs",
    "training/checkpoint.py": "files faults damaged_runs",
    "training/repair.py": "damaged_runs",
    "training/trainer.py": "trainer observers rollback",
    "training/balance.py": "balance trainer",
    "training/ema.py": "trainer progan stylegan",
    "training/rollback.py": "rollback",
    "training/journal.py": "files trainer observers faults signals",
    "data/unpacking.py": "data_limits data_sources",
    "data/writing.py": "platforms data_pictures data_prepare",
    "data/feed.py": "feed trainer",
    "data/prepare.py": "data_prepare data_pair data_sources originals",
    "data/decoding.py": "data_pictures data_prepare project",
    "measure/metrics.py": "metrics evaluate compare",
    "measure/distances.py": "distances metrics memorisation",
    "measure/intervals.py": "intervals metrics translation",
    "measure/copy_detection.py": "memorisation evaluate",
    "layers/*.py": "layers {stem} filters progan stylegan2 cyclegan",
    "gans/*.py": "{stem} {gan} conditional old_runs gans settings learning",  # of these the ones with the GAN's name
    "explore/guard.py": "explore_api explore_network",
    "explore/connection.py": "explore_network",
    "explore/requests.py": "explore_api explore_sliders explore_network",
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",), ast.NotEq: ("==",),
    ast.In: ("not in",), ast.NotIn: ("in",), ast.Is: ("is not",), ast.IsNot: ("is",),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*"}
NEGATIVES = {"Tensor": "-({})", "float": "-({})", "int": "-({})", "bool": "not ({})"}  # any other value becomes None


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a module become `after`."""

    module: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """Its place and what changes."""
        return f"{self.module}:{self.line} `{' '.join(self.before.split())}` -> `{self.after}`"


def mutants(module: str, source: bytes) -> Iterator[Mutant]:
    """All mutants of a module's code; annotations and docstrings are none."""
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))

    def at(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset

    def mutant(kind: str, start: int, end: int, after: str) -> Mutant:
        return Mutant(module, source[:start].count(b"\n") + 1, kind, source[start:end].decode(), after, start, end)

    def between(kind: str, left: ast.expr, right: ast.expr, after: str) -> Iterator[Mutant]:
        start, end = at(left)[1], at(right)[0]
        operator = re.search(rb"[^\s()#]+( not\b| in\b)?", source[start:end])
        if operator and b"#" not in source[start:end]:
            yield mutant(kind, start + operator.start(), start + operator.end(), after)

    def visit(node: ast.AST, returns: str) -> Iterator[Mutant]:
        if isinstance(node, ast.FunctionDef):
            returns = ast.unparse(node.returns) if node.returns else ""
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            for after in COMPARISONS[type(node.ops[0])]:
                yield from between("comparison", node.left, node.comparators[0], after)
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            yield from between("arithmetic", node.left, node.right, ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            yield from between("logic", node.values[0], node.values[1], "or" if isinstance(node.op, ast.And) else "and")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            other = not node.value if isinstance(node.value, bool) else node.value + 1
            yield mutant("constant", *at(node), repr(other))
        elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
            value = ast.get_source_segment(source.decode(), node.value)
            yield mutant("return", *at(node.value), NEGATIVES.get(returns, "None").format(value))
        elif (
            isinstance(node, ast.AugAssign | ast.Raise)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
            or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript))
        ):
            yield mutant("removal", *at(node), "pass")
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from visit(child, returns)

    yield from visit(ast.parse(source), "")


def choose(number: int, seed: int) -> list[Mutant]:
    """`number` mutants of the important modules: as many of each kind as there are, and no two of one line."""
    kinds: dict[str, list[Mutant]] = {}
    for pattern in TESTS:
        for path in sorted((ROOT / "simulacra").glob(pattern)):
            for mutant in mutants(path.relative_to(ROOT).as_posix(), path.read_bytes()):
                kinds.setdefault(mutant.kind, []).append(mutant)
    chance, chosen = random.Random(seed), dict[tuple[str, int], Mutant]()
    while len(chosen) < number:
        mutant = chance.choice(kinds[sorted(kinds)[len(chosen) % len(kinds)]])
        chosen.setdefault((mutant.module, mutant.line), mutant)
    return list(chosen.values())


def tests_of(module: str) -> list[str]:
    """Arguments of pytest: the files that test a module, and of GANs the name that their tests have."""
    path = Path(module).relative_to("simulacra")
    words = next(words for pattern, words in TESTS.items() if path.match(pattern))
    gan = path.stem.removesuffix("_networks").removesuffix("_dense")
    stems = dict.fromkeys(words.format(stem=path.stem, gan=gan).split())
    files = [f"tests/test_{stem}.py" for stem in stems if (ROOT / f"tests/test_{stem}.py").exists()]
    names = dict.fromkeys([gan, gan.replace("_", "-"), path.stem.rpartition("_")[2]])
    return files + (["-k", " or ".join(names)] if path.match("gans/*.py") else [])


def test(copy: Path, arguments: list[str], log: Path) -> None:
    """Run pytest on a copy of the repository, in this process: a fork."""
    os.setsid()
    os.chdir(copy)
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.path.insert(0, str(copy))
    os.environ["PYTHONPATH"] = str(copy)
    status = pytest.main([*arguments, "-x", "-q", "-n", "0", "-p", "no:cacheprovider"])
    assert str(sys.modules["simulacra"].__file__).startswith(str(copy)), "another copy of the package was tested"
    os._exit(status)


def outcome(mutant: Mutant, copy: Path, limit: float, out: Path) -> dict[str, object]:
    """Test one mutant in `copy`, which is as before afterwards."""
    path, log = copy / mutant.module, out / "pytest.txt"
    source = path.read_bytes()
    path.write_bytes(source[: mutant.start] + mutant.after.encode() + source[mutant.end :])
    log.write_text("")
    process = multiprocessing.get_context("fork").Process(target=test, args=(copy, tests_of(mutant.module), log))
    process.start()
    process.join(limit)
    if process.is_alive():
        assert process.pid
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    path.write_bytes(source)
    failed = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - |$)", log.read_text(errors="replace"), re.MULTILINE)
    result = {0: "survived", 1: "killed", -signal.SIGKILL: "timeout"}.get(process.exitcode or 0, "killed")
    return {**asdict(mutant), "outcome": result, "test": failed[1] if failed else ""}


def main() -> None:
    """Choose, test, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of mutants.json")
    parser.add_argument("--number", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=120, help="seconds for the tests of one mutant")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out.resolve() / "mutants.json"
    rows = json.loads(record.read_text()) if record.exists() else {}
    chosen = choose(options.number, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "copy"
        for name in subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z"], text=True).split("\0")[:-1]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
        for mutant in chosen:
            if mutant.name not in rows:
                rows[mutant.name] = outcome(mutant, copy, options.limit, record.parent)
                record.with_suffix(".new").write_text(json.dumps(rows, indent=1))
                record.with_suffix(".new").replace(record)
                print(rows[mutant.name]["outcome"], mutant.name, rows[mutant.name]["test"], flush=True)
    print("| mutant | kind | outcome | failed |\n|---|---|---|---|")
    for mutant in chosen:
        print(f"| {mutant.name} | {mutant.kind} | {rows[mutant.name]['outcome']} | {rows[mutant.name]['test']} |")
    print(dict(Counter(rows[mutant.name]["outcome"] for mutant in chosen)))


if __name__ == "__main__":
    main()

"""Kill ranks of runs under torchrun at random moments: each run must end with the weights of one that was never killed.

    python benchmarks/restarts.py                       # 20 kills of each layout

One node has two ranks and one folder. Two agents on the loopback device have one rank, one run's folder and one copy of the
data each; they find each other by c10d or by fixed ranks. The agents are those of torchrun (`elastic_launch`). Ranks are
forked from a process that has torch imported, and with --exec started like torchrun's own. One kill in four comes while
ranks start, the others after a random number of images.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from simulacra.plugins.harness import CPU, differences
from simulacra.plugins.processes import SERVER, free_port
from simulacra.storage import checkpoints
from simulacra.training import checkpoint
from simulacra.training.options import train

RANKS = 2
LAYOUTS = {
    "one node": (1, "static"),
    "two agents, c10d": (2, "c10d"),
    "two agents, fixed": (2, "static"),
}  # agents, how
TOTAL, SAVE = 384, 24  # images
OPTIONS: dict[str, Any] = {"gan": "mlp:tiny", "total": TOTAL, "every": 120, "save_every": SAVE, "threads": 1}
OPTIONS |= {"precision": "fp32", "device": "cpu", "settings": {"batch": 8}}
SECONDS = 3600.0  # after which a run is given up
STARTING = 0.25  # share of the kills while ranks start
WITHIN = 0.1  # seconds after a checkpoint, at most, before a kill
POLL = 0.01  # seconds


def work(ranks: Path) -> None:
    """One rank: note its process, and train in the current folder."""
    note = ranks / f".{os.environ['RANK']}"
    note.write_text(str(os.getpid()))
    note.replace(ranks / os.environ["RANK"])
    train("data", run="run", **OPTIONS)


def agent(
    folder: Path, layout: str, number: int, port: int, restarts: int, entry: Callable[..., None] | str, *words: Any
) -> None:
    """An agent of torchrun in its folder, until its ranks end: each calls `entry(*words)`, or is Python with `words`."""
    agents, backend = LAYOUTS[layout]
    os.chdir(folder)
    config = LaunchConfig(
        min_nodes=agents,
        max_nodes=agents,
        nproc_per_node=RANKS // agents,
        rdzv_backend=backend,
        rdzv_endpoint=f"127.0.0.1:{port}",
        rdzv_configs={"timeout": 300} | ({"rank": number} if backend == "static" else {}),
        run_id="restarts",
        max_restarts=restarts,
        monitor_interval=0.05,
        start_method="fork",  # from a process that has torch imported
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "log"), redirects=Std.ALL),
        local_addr="127.0.0.1",
    )
    elastic_launch(config, entry)(*words)


def start_agents(
    root: Path, data: Path, layout: str, restarts: int, entry: Callable[..., None] | str, *words: Any
) -> list[BaseProcess]:
    """All agents, in `root/node0` and so on, each with a copy of the data."""
    processes: list[BaseProcess] = []
    port = free_port()
    for number in range(LAYOUTS[layout][0]):
        folder = root / f"node{number}"
        shutil.copytree(data, folder / "data")
        processes.append(SERVER.Process(target=agent, args=(folder, layout, number, port, restarts, entry, *words)))
        processes[-1].start()
    return processes


def pids(root: Path) -> dict[int, int]:
    """The processes of the ranks that have noted themselves."""
    return {int(path.name): int(path.read_text()) for path in (root / "ranks").glob("[0-9]*")}


def reached(root: Path) -> int:
    """Images of the newest checkpoint."""
    return max((int(path.name) for path in checkpoints(root / "node0" / "run")), default=0)


@dataclass(frozen=True)
class Kill:
    """A SIGKILL of a rank. nimg: of the checkpoint after which it comes; None: while the rank starts. wait: seconds."""

    rank: int
    nimg: int | None
    wait: float


def draw_kills(count: int, chance: random.Random) -> list[Kill]:
    """Kills of random ranks at random moments, in the order of time."""
    kills = []
    for nimg in sorted(chance.randrange(0, TOTAL - SAVE) for _ in range(count)):
        starting = chance.random() < STARTING
        wait = chance.uniform(0, 1.0 if starting else WITHIN)
        kills.append(Kill(chance.randrange(RANKS), None if starting else nimg, wait))
    return kills


@dataclass
class Result:
    """What became of a run."""

    kills: list[str] = field(default_factory=list)  # each as rank and images
    codes: list[int | None] = field(default_factory=list)  # exit codes of the agents
    differing: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether all agents ended well and the weights are those of the reference."""
        return not self.differing and all(code == 0 for code in self.codes)


def carry_out(root: Path, data: Path, layout: str, kills: list[Kill], *, execute: bool = False) -> Result:
    """A run in `root` to its end, with these kills."""
    result, ranks = Result(), root / "ranks"
    ranks.mkdir(parents=True)
    restarts = 2 * len(kills)  # a kill may end two starts of a machine
    if execute:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from pathlib import Path; "
        code += f"from restarts import work; work(Path({str(ranks)!r}))"
        agents = start_agents(root, data, layout, restarts, sys.executable, "-c", code)
    else:
        agents = start_agents(root, data, layout, restarts, work, ranks)
    deadline = time.monotonic() + SECONDS

    def going() -> bool:
        time.sleep(POLL)
        return time.monotonic() < deadline and all(process.is_alive() for process in agents)

    dead: dict[int, int] = {}  # the last process of a rank that was killed
    for kill in kills:
        while going() and pids(root).get(kill.rank, 0) in (0, dead.get(kill.rank)):
            pass
        while kill.nimg is not None and going() and reached(root) < kill.nimg:
            pass
        time.sleep(kill.wait)
        if not going() or reached(root) >= TOTAL:
            break
        dead = pids(root)
        os.kill(dead[kill.rank], signal.SIGKILL)
        result.kills.append(f"rank {kill.rank} at {reached(root)}")
    for process in agents:
        process.join(max(0.0, deadline - time.monotonic()))
        result.codes.append(process.exitcode)
        process.kill()
    return result


def state(root: Path) -> dict[str, Any]:
    """The last checkpoint of a run: its state, and the weights as a user loads them."""
    last = checkpoints(root / "node0" / "run")[-1]
    return checkpoint.load(last, CPU) | {"G.safetensors": load_file(last / "G.safetensors")}


def main() -> None:
    """Print a line a run, and at the end how many kills were survived."""
    from simulacra.data.prepare import prepare
    from simulacra.data.prepare_options import PrepareOptions
    from simulacra.plugins.harness import noise

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="for each layout")
    parser.add_argument("--per-run", type=int, default=5, help="kills of one run")
    parser.add_argument("--layout", choices=LAYOUTS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exec", action="store_true", help="start ranks like torchrun, and not by a fork")
    words = parser.parse_args()
    from PIL import Image

    failed = False
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "pictures").mkdir()
        for number, pixels in enumerate(noise(24)):
            Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
        prepare(root / "pictures", root / "data", PrepareOptions(size=(16, 16)))
        reference = root / "reference"
        carry_out(reference, root / "data", "one node", [])
        for layout in words.layout or LAYOUTS:
            killed = survived = 0
            while killed < words.kills:
                chance = random.Random(f"{words.seed}/{layout}/{killed}")
                kills = draw_kills(min(words.per_run, words.kills - killed), chance)
                run = root / "run"
                result = carry_out(run, root / "data", layout, kills, execute=words.exec)
                if all(code == 0 for code in result.codes):
                    result.differing = differences(state(reference), state(run))
                killed += len(result.kills)
                survived += len(result.kills) if result.right else 0
                print(f"{layout:20} {'right' if result.right else 'WRONG':6} {', '.join(result.kills)}", flush=True)
                if not result.right:
                    print(result, flush=True)
                    keep = Path(tempfile.mkdtemp(prefix="restarts-"))
                    shutil.copytree(run, keep, dirs_exist_ok=True)
                    print("kept in", keep)
                shutil.rmtree(run, ignore_errors=True)
            print(f"{layout}: {survived} of {killed} kills ended with the weights of a run never killed", flush=True)
            failed |= survived < killed
    sys.exit(failed)


if __name__ == "__main__":
    main()

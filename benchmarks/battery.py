"""What each score makes of damages that people see, and of some that nobody sees.

    python benchmarks/battery.py peeps peeps32 emoji64 fashion32 photo64 --number 1000 --models peeps=peeps

For each dataset: `--number` real pictures against as many others, whole and damaged (`damages.py`), and fakes of a model
if `--models` names one. To hold:

- no score falls where a damage gets stronger, by more than its interval at the floor is wide
- noise, grids and blur that nobody sees stay within the floor's interval
- twenty pictures repeated rank behind noise of 4/255
- precision falls with damaged pictures and not with lost variety; recall falls with lost variety

Finished datasets are kept in `--results` and not repeated; `--grain` adds the score of untreated pictures. `--few 50`
also says how surely Fréchet distance and KID tell each case from other reals with as many pictures: the mean difference
over its deviation, in 20 random parts of the sets.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from damages import DAMAGES, Damage, Pictures, dropped, repeated
from numpy.typing import NDArray

from simulacra.data.dataset import Dataset
from simulacra.data.opening import open_domain
from simulacra.files import read_json, write_json
from simulacra.measure.distances import frechet, kid, neighbours
from simulacra.measure.extractors.features import SECOND, Extractor, Features, features_of, open_extractor
from simulacra.measure.intervals import resampled_frechet, resampled_kid
from simulacra.measure.sliced import resampled_sliced, sliced_wasserstein
from simulacra.storage import load_generator

RESULTS = Path(__file__).with_name("results")
OTHERS = "other reals"
SCORES = ("fd", "swd", "kid", "precision", "recall")
DISTANCES = SCORES[:3]
TOLERANCE = 0.1  # of a share that should not fall
FALLS = {"noise 8/255": 0.0, "JPEG 50": 0.0, "blur 1 px": 0.15, "average of 8": 0.15}  # of precision


def labels_of(data: Dataset) -> NDArray[np.int64]:
    """Classes of a dataset's pictures; the built-in people's styles of hair; where it has neither, clusters."""
    if data.labels is not None and data.labels.ndim == 1:
        return np.asarray(data.labels)
    styles = [number for number, name in enumerate(data.attributes) if name.startswith("style: ")]
    if data.labels is not None and styles:
        hair: NDArray[np.int64] = np.asarray(data.labels[:, styles]).argmax(1)
        return hair
    return clusters(np.asarray(data.images))


def clusters(images: Pictures, number: int = 10, rounds: int = 10) -> NDArray[np.int64]:
    """Clusters of thumbnails by k-means, seeded."""
    batch = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float()
    rows = torch.nn.functional.adaptive_avg_pool2d(batch, 6).flatten(1)
    centres = rows[torch.from_numpy(np.random.default_rng(2).permutation(len(rows))[:number])]
    for _ in range(rounds):
        nearest = torch.cdist(rows, centres).argmin(1)
        centres = torch.stack(
            [rows[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(number)]
        )
    return nearest.numpy()


def features(extractor: Extractor, pictures: Pictures) -> Features:
    """Features of pictures [N, H, W, C]."""
    batches = (
        torch.from_numpy(np.ascontiguousarray(pictures[start : start + 16])).permute(0, 3, 1, 2).float() / 127.5 - 1
        for start in range(0, len(pictures), 16)
    )
    return features_of(extractor, batches, len(pictures))


def cases(
    data: Dataset, number: int, extractor: Extractor, model: str | None = None, damages: Sequence[Damage] = DAMAGES
) -> dict[str, Features]:
    """Features of the reals, of other reals, and of everything that is done to these."""
    images, order = np.asarray(data.images), np.random.default_rng(0).permutation(len(data))
    number = min(number, len(data) // 2)
    real, others, rest = order[:number], order[number : 2 * number], order[number:]
    whole = images[others]
    sets = {"reals": features(extractor, images[real]), OTHERS: features(extractor, whole)}
    for damage in damages:
        sets |= {name: features(extractor, pictures) for name, pictures in damage.cases(whole).items()}
    sets |= {name: rows_of(sets[OTHERS], rows) for name, rows in repeated(number).items()}
    for name, rows in dropped(labels_of(data), rest, number).items():
        sets[name] = features(extractor, images[rows])
    if model:
        pictures = drawn(model, number)
        sets["a model's fakes"] = features(extractor, pictures)
        half = {layer: values[::2] for layer, values in sets["a model's fakes"].items()}
        sets["half fakes"] = {
            layer: np.concatenate([values, sets[OTHERS][layer][1::2]]) for layer, values in half.items()
        }
    return sets


def drawn(model: str, number: int) -> Pictures:
    """Pictures of a model, as 8 bits."""
    batches = load_generator(model).pictures(range(number), batch=32)
    pictures = torch.cat([batch.permute(0, 2, 3, 1) for batch in batches])
    return ((pictures + 1) * 127.5).round().clamp(0, 255).byte().numpy()


def rows_of(sets: Features, rows: NDArray[np.int64]) -> Features:
    """Rows of every layer."""
    return {layer: values[rows] for layer, values in sets.items()}


def scores(extractor: Extractor, real: Features, fake: Features) -> dict[str, float]:
    """The scores of a case."""
    near = neighbours(real[extractor.neighbour_layer], fake[extractor.neighbour_layer])
    return {
        "fd": frechet(real[extractor.fd_layer], fake[extractor.fd_layer]),
        "swd": sliced_wasserstein(real[SECOND], fake[SECOND]),
        "kid": kid(real[extractor.kid_layer], fake[extractor.kid_layer]),
        "precision": float(near.precision.mean()),
        "recall": float(near.recall.mean()),
    }


def measure(source: str, number: int, extractor: Extractor, model: str | None, grain: bool, few: int) -> dict[str, Any]:
    """The record of one dataset: scores by case, and the floor's intervals."""
    data = open_domain(source)
    sets = cases(data, number, extractor, model)
    record = scored(extractor, sets)
    if few:
        record["few"] = {"n": few, "deviations": separations(extractor, sets, few)}
    if grain:
        untreated = cases(data, number, extractor.untreated, model)
        bare = untreated.pop("reals")[extractor.fd_layer]
        for name, fake in untreated.items():
            record["cases"][name]["grain"] = frechet(bare, fake[extractor.fd_layer])
    return {
        "data": data.name,
        "hash": data.hash,
        "extractor": extractor.name,
        "treatment": extractor.treatment,
    } | record


def scored(extractor: Extractor, sets: dict[str, Features]) -> dict[str, Any]:
    """The scores of each case against the reals, the floor's intervals, and what does not hold."""
    real, others = sets["reals"], sets[OTHERS]
    resampled = {
        "fd": resampled_frechet(real[extractor.fd_layer], others[extractor.fd_layer]),
        "swd": resampled_sliced(real[SECOND], others[SECOND]),
        "kid": resampled_kid(real[extractor.kid_layer], others[extractor.kid_layer]),
    }
    floor = {name: vars(score.interval()) for name, score in resampled.items()}
    values = {name: scores(extractor, real, fake) for name, fake in sets.items() if name != "reals"}
    record: dict[str, Any] = {"n": len(others[SECOND]), "floor": floor, "cases": values}
    return record | {"broken": broken(record)}


def separations(
    extractor: Extractor, sets: dict[str, Features], few: int, draws: int = 20
) -> dict[str, dict[str, float]]:
    """By case, how many deviations the scores of `few` pictures lie above those of other reals."""
    source, layers = np.random.default_rng(4), {"fd": extractor.fd_layer, "kid": extractor.kid_layer}
    gaps: dict[str, list[list[float]]] = {name: [] for name in sets if name not in ("reals", OTHERS)}
    for _ in range(draws):
        rows, others = (source.permutation(len(sets[name][SECOND]))[:few] for name in ("reals", OTHERS))
        real = rows_of(sets["reals"], rows)

        def both(name: str, real: Features = real, others: NDArray[np.int64] = others) -> list[float]:
            fake = rows_of(sets[name], others)
            return [{"fd": frechet, "kid": kid}[key](real[layer], fake[layer]) for key, layer in layers.items()]

        whole = both(OTHERS)
        for name, values in gaps.items():
            values.append([score - least for score, least in zip(both(name), whole, strict=True)])
    means = {name: np.array(values).mean(0) / np.array(values).std(0).clip(1e-12) for name, values in gaps.items()}
    return {name: {"fd": float(ratio[0]), "kid": float(ratio[1])} for name, ratio in means.items()}


def ladders(cases: dict[str, Any]) -> dict[str, list[str]]:
    """The cases of each damage, mildest first, behind the undamaged one."""

    def titles(damage: Damage) -> list[str]:
        return [damage.title(strength) for strength in damage.strengths]

    steps = {damage.name: titles(damage) for damage in DAMAGES}
    steps["repeated"] = list(repeated(100))
    steps["dropped"] = list(dropped(np.arange(4), np.arange(4), 4))
    steps["fakes"] = ["half fakes", "a model's fakes"]
    return {name: [OTHERS, *own] for name, own in steps.items() if all(case in cases for case in own)}


def broken(record: dict[str, Any]) -> list[str]:
    """What should hold and does not, a sentence each."""
    values, floor = record["cases"], record["floor"]
    faults = []
    for steps in ladders(values).values():
        for score in DISTANCES:
            width = floor[score]["high"] - floor[score]["low"]
            for mild, strong in itertools.pairwise(steps):
                if values[strong][score] < values[mild][score] - width:
                    faults.append(f"{score} falls from {mild} to {strong}")
    for damage in DAMAGES:
        for strength in damage.strengths:
            case = damage.title(strength)
            if strength <= damage.unseen and case in values:
                faults += [f"{s} sees {case}" for s in DISTANCES if values[case][s] > floor[s]["high"]]
    for score in DISTANCES:
        if values["20 repeated"][score] <= values["noise 4/255"][score]:
            faults.append(f"{score} ranks noise of 4/255 behind 20 pictures repeated")
    whole = values[OTHERS]
    for case, least in FALLS.items():
        if case in values and values[case]["precision"] >= whole["precision"] - least:
            faults.append(f"precision does not fall with {case}")
    for case in ("half of the classes dropped", "20 repeated"):
        if values[case]["precision"] < whole["precision"] - TOLERANCE:
            faults.append(f"precision falls with {case}")
        if values[case]["recall"] > whole["recall"]:
            faults.append(f"recall does not fall with {case}")
    return faults


def table_of(records: list[dict[str, Any]]) -> str:
    """All cases in Markdown: a column of fd, swd, precision and recall for each dataset."""
    names = list(dict.fromkeys(case for record in records for case in record["cases"]))
    heads = [f"{record['data']} ({record['n']})" for record in records]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    floors = (f"{r['floor']['fd']['high']:.1f} · {1000 * r['floor']['swd']['high']:.0f}" for r in records)
    lines.append(f"| end of the floor's interval | {' | '.join(floors)} |")
    for name in names:
        cells = []
        for record in records:
            case = record["cases"].get(name)
            cells.append(
                f"{case['fd']:.1f} · {1000 * case['swd']:.0f} · {case['precision']:.2f} · {case['recall']:.2f}"
                if case
                else ""
            )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the battery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="prepared folders, or peeps")
    parser.add_argument("--number", type=int, default=1000, help="pictures on each side; at most half of the dataset")
    parser.add_argument("--models", nargs="*", default=[], help="DATASET=RUN or DATASET=MODEL")
    parser.add_argument("--few", type=int, default=0, help="also compare the scores' sureness with so many pictures")
    parser.add_argument("--grain", action="store_true", help="also score untreated pictures")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = dict(word.split("=", 1) for word in options.models)
    extractor, records = open_extractor(), []
    for source in options.data:
        path = options.results / f"battery-{Path(source).name}-{options.number}.json"
        if not path.exists():
            record = measure(
                source, options.number, extractor, models.get(Path(source).name), options.grain, options.few
            )
            write_json(path, record)
        records.append(read_json(path))
        print(
            f"{records[-1]['data']}, n = {records[-1]['n']}: {'; '.join(records[-1]['broken']) or 'all holds'}",
            flush=True,
        )
    print("\nfd · 1,000 swd · precision · recall\n\n" + table_of(records))


if __name__ == "__main__":
    main()

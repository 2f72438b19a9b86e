"""The model card, README.md: what the model draws, how to load it, its scores, and what it was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulacra.data.dataset import Dataset, Pair
from simulacra.generator import Generator
from simulacra.hub import address
from simulacra.measure.printing import leading_first
from simulacra.messages import text
from simulacra.model import Task
from simulacra.publish.hub.contents import SAMPLES, Contents, samples
from simulacra.publish.report.formatting import decimals, interval, number, part_name, pixels
from simulacra.publish.report.stored import meaning, stored_sentences
from simulacra.registry import gans
from simulacra.translator import Translator

PIPELINES: dict[Task, str] = {
    "draw": "unconditional-image-generation",
    "translate": "image-to-image",
    "upscale": "image-to-image",
}
COLUMNS = ("report.score", "report.value", "report.interval_95", "report.reals_reals", "report.what_it_is")
Row = Sequence[str]


def model_card(contents: Contents, repository: str) -> str:
    """The card as Markdown with YAML at its head, in the language in use."""
    blocks = [_head(contents, repository), f"# {repository.rpartition('/')[2]}", _opening(contents)]
    if isinstance(contents.model, Generator):
        last = samples(contents.model) ** 2 - 1
        blocks.append(f"![{text('hub.card_samples', last=last)}]({SAMPLES})")
    blocks += _section("hub.card_use", _use(contents, f"hub:{repository}"))
    blocks += _section("hub.card_scores", _scores(contents))
    blocks += _section("hub.card_data", _data(contents))
    blocks += _section("hub.card_training", _training(contents))
    if contents.directions or contents.factors:
        blocks += _section("hub.card_more", _more(contents))
    return "\n\n".join(blocks) + "\n"


def _section(title: str, blocks: Iterable[str]) -> list[str]:
    return [f"## {text(title)}", *blocks]


def _head(contents: Contents, repository: str) -> str:
    """The YAML that the Hub reads; JSON values are YAML, too."""
    task, gan = contents.about.task, str(contents.config["gan"])
    tags = ["simulacra", "gan", gan, "image-generation" if task == "draw" else "image-to-image"]
    values: dict[str, Any] = {"license": contents.license, "library_name": "simulacra", "pipeline_tag": PIPELINES[task]}
    values |= {"tags": tags + (["conditional"] if contents.config["config"].get("labels") else [])}
    if isinstance(contents.model, Generator):
        values["thumbnail"] = f"{address()}/{repository}/resolve/main/{SAMPLES}"
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---"])


def _opening(contents: Contents) -> str:
    model, (_, height, width) = contents.model, contents.model.shape
    gan = gans().get(str(contents.config["gan"]))
    values = {"size": f"{width} × {height}", "gan": cell(gan.title if gan else contents.config["gan"])}
    if isinstance(model, Translator):
        return text("hub.card_translates", a=cell(model.domains[0]), b=cell(model.domains[1]), **values)
    return text("hub.card_draws" if isinstance(model, Generator) else "hub.card_enlarges", **values)


def _use(contents: Contents, name: str) -> Iterator[str]:
    if isinstance(contents.model, Generator):
        commands = [f"simulacra sample {name} pictures --grid", f"simulacra explore {name}"]
        python = f'pictures = simulacra.load_generator("{name}").sample(range(16))'
    elif isinstance(contents.model, Translator):
        commands = [f"simulacra translate {name} photos translated --to b"]
        python = f'translator = simulacra.load_translator("{name}")'
    else:
        commands, python = [], f'upscaler = simulacra.load("{name}")'
    yield _code("sh", ["pip install 'simulacra[hub]'", *commands])
    yield _code("python", ["import simulacra", "", python])
    if source := contents.config.get("gan_source"):
        yield text("hub.card_own_gan", source=cell(source))


def _code(language: str, lines: Sequence[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _scores(contents: Contents) -> Iterator[str]:
    certificate = contents.certificate
    if certificate is None:
        yield text("hub.card_no_certificate")
        return
    data = certificate["data"]
    yield text("hub.card_scored", n=certificate["n"], pictures=data["pictures"], part=part_name(data["on"]))
    header = [text(code) for code in COLUMNS]
    rows = [_score(name, score) for name, score in leading_first(certificate["scores"], certificate["leads"]).items()]
    yield table(header, rows)
    yield from _findings(contents, certificate)
    yield text("hub.card_certificate", extractor=certificate["extractor"]["name"])


def _findings(contents: Contents, certificate: Mapping[str, Any]) -> Iterator[str]:
    """Sentences of the certificate: whether the model copies, what its translations hide, and warnings."""
    known = stored_sentences(dict(certificate), contents.data)
    search = certificate.get("memorisation")
    findings = [line["sentence"] for line in certificate.get("honesty", {}).values()]
    if search is not None:
        findings.append(search["sentence"])
    elif contents.about.task == "draw":
        yield text("hub.card_copies_unchecked")
    for sentence in dict.fromkeys([*findings, *certificate["warnings"]]):
        line = cell(known.get(sentence, sentence))
        if search is not None and search["verdict"] == "copying" and sentence == search["sentence"]:
            yield f"> ⚠️ **{line}**"
        else:
            yield line if sentence in findings else f"> {line}"


def _score(name: str, score: Mapping[str, Any]) -> Row:
    places = decimals(score)
    cells = [f"`{name}`", number(score["value"], places), interval(score, places)]
    return [*cells, number(score.get("floor"), places), meaning(name, score)]


def _data(contents: Contents) -> Iterator[str]:
    """Counts, labels and the hash: the name of the data, and names and places of files stay with the user."""
    rows = [(text("hub.card_pictures"), line) for line in _counts(contents)]
    rows.append((text("hub.card_size"), pixels(contents.model.shape)))
    sheet = contents.sheet
    if isinstance(sheet.get("found"), int) and isinstance(sheet.get("usable"), int):
        rows.append((text("hub.card_found"), text("hub.card_usable", found=sheet["found"], usable=sheet["usable"])))
    if contents.model.classes and not isinstance(contents.model, Translator):
        rows.append((text("hub.card_labels"), text("hub.card_list", items=contents.model.classes)))
    if digest := contents.config.get("data_hash"):
        rows.append(("SHA-256", f"`{digest}`"))
    yield table([text("hub.card_fact"), ""], rows)
    yield text("hub.card_not_included")


def _counts(contents: Contents) -> Iterator[str]:
    """How many pictures there are of each part, for each domain of a pair."""
    if isinstance(contents.data, Pair):
        for name, domain in zip(contents.data.domains, (contents.data.a, contents.data.b), strict=True):
            yield f"{name}: {_parts(domain)}"
    elif contents.data is not None:
        yield _parts(contents.data)
    elif contents.run_data is not None and "pictures" in contents.run_data:
        yield text("report.count_for", count=contents.run_data["pictures"], part=part_name("train"))


def _parts(data: Dataset) -> str:
    counts = {part_name(part): count for part, count in data.splits.items() if count}
    return text("hub.card_list", items=[text("report.count_for", part=part, count=counts[part]) for part in counts])


def _training(contents: Contents) -> Iterator[str]:
    config = contents.config
    rows = [("GAN", f"`{config['gan']}`"), (text("hub.card_model"), f"`{contents.about.hash}`")]
    gan = gans().get(str(config["gan"]))
    if gan is not None:
        rows.insert(1, (text("hub.card_paper"), f"{gan.title}. {gan.authors}, {gan.year}. {gan.paper}"))
    if config.get("nimg"):
        rows.append((text("hub.card_shown"), f"{config['nimg']:,}"))
    if "pretrained" in config:
        rows.append((text("hub.card_pretrained"), f"`{config['pretrained'].get('hash')}`"))
    if config.get("simulacra"):
        rows.append(("simulacra", str(config["simulacra"])))
    yield table([text("hub.card_fact"), ""], rows)
    yield text("hub.card_settings")


def _more(contents: Contents) -> Iterator[str]:
    if contents.directions:
        names = [f"`{cell(direction.name)}`" for direction in contents.directions]
        yield text("hub.card_directions", names=names)
    if contents.factors:
        height = contents.model.shape[1]
        yield text("hub.card_upscalers", sizes=[height * factor for factor in contents.factors])


def table(header: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(value: Any) -> str:
    """Text that is one line of Markdown without HTML, and one cell of a table."""
    line = " ".join(str(value).split())
    return line.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")

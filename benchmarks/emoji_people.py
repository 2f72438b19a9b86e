"""Emoji people for benchmarks: upper-body persons in two designs, Google's (Apache-2.0) and Twitter's (CC BY 4.0).

    npm install emoji-datasource-google emoji-datasource-twitter
    python benchmarks/emoji_people.py node_modules emoji
    simulacra prepare emoji/google emoji32 --size 32

Both folders hold the same 997 people under the same names. One folder is a dataset of few pictures; both are a
translation with ground truth.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

DESIGNS = ("google", "twitter")
UPPER_BODY = ("person", "person-role", "person-gesture", "person-fantasy")


def pictures(modules: Path, design: str) -> dict[str, Path]:
    """Files of the upper-body persons of a design by name, with every skin tone."""
    package = modules / f"emoji-datasource-{design}"
    emojis = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    persons = [emoji for emoji in emojis if emoji["subcategory"] in UPPER_BODY]
    names = [form["image"] for emoji in persons for form in (emoji, *emoji.get("skin_variations", {}).values())]
    folder = package / "img" / design / "64"
    return {name: folder / name for name in names if (folder / name).exists()}


def main() -> None:
    """Copy the people that both designs have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, help="the node_modules folder that npm made")
    parser.add_argument("out", type=Path)
    words = parser.parse_args()
    files = {design: pictures(words.modules, design) for design in DESIGNS}
    both = sorted(set.intersection(*(set(names) for names in files.values())))
    for design, names in files.items():
        (words.out / design).mkdir(parents=True, exist_ok=True)
        for name in both:
            shutil.copyfile(names[name], words.out / design / name)
    print(f"{len(both)} people in each of {', '.join(str(words.out / design) for design in DESIGNS)}")


if __name__ == "__main__":
    main()

"""Emoji people for benchmarks: upper-body persons in two designs, Google's (Apache-2.0) and Twitter's (CC BY 4.0).

    npm install emoji-datasource-google emoji-datasource-twitter
    python benchmarks/emoji_people.py node_modules emoji
    simulacra prepare emoji/google emoji32 --size 32

The same 997 people stand in both folders under the same names: with one folder, the case of few pictures; with both,
a translation whose true answers are known.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

DESIGNS = ("google", "twitter")
UPPER_BODY = ("person", "person-role", "person-gesture", "person-fantasy")


def pictures(modules: Path, design: str) -> dict[str, Path]:
    """Name -> file of the upper-body persons of a design, every skin tone included."""
    package = modules / f"emoji-datasource-{design}"
    listed = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    persons = [each for each in listed if each["subcategory"] in UPPER_BODY]
    names = [form["image"] for each in persons for form in (each, *each.get("skin_variations", {}).values())]
    folder = package / "img" / design / "64"
    return {name: folder / name for name in names if (folder / name).exists()}


def main() -> None:
    """Copy what both designs have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, help="the node_modules folder that npm made")
    parser.add_argument("out", type=Path)
    words = parser.parse_args()
    found = {design: pictures(words.modules, design) for design in DESIGNS}
    both = sorted(set.intersection(*(set(names) for names in found.values())))
    for design, names in found.items():
        (words.out / design).mkdir(parents=True, exist_ok=True)
        for name in both:
            shutil.copyfile(names[name], words.out / design / name)
    print(f"{len(both)} people in each of {', '.join(str(words.out / design) for design in DESIGNS)}")


if __name__ == "__main__":
    main()

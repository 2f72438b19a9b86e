"""Pictures that cannot be used, and why: the exception inside, the record that `rejects.json` keeps."""

from __future__ import annotations

from typing import Any, NamedTuple

from simulacra.messages import Message, using


class UnusablePicture(Exception):
    """This picture cannot be used. `reason` is shared by all with that fault; `detail` is its own, in English."""

    def __init__(self, code: str, detail: str = "", **values: Any) -> None:
        super().__init__(code)
        self.reason, self.detail = Message(code, **values), detail

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else str(self.reason)


class Reject(NamedTuple):
    """A picture of a source that was not used."""

    name: str
    reason: Message
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else str(self.reason)

    def to_json(self) -> dict[str, str]:
        """As `rejects.json` stores it."""
        record = {"name": self.name, "reason": english(self.reason)}
        return record | {"detail": self.detail} if self.detail else record


def english(message: Message) -> str:
    """A message in English, as files store it whatever the language in use."""
    with using("en"):
        return str(message)

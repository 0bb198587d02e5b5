"""The photos by which the owner is known: embeddings in a private file, never pixels."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import ConfigError
from server.common.private import data_folder, read_private, write_private

if TYPE_CHECKING:  # they bring torch, and the server must start at once
    from engines.face.recognise import Identity
    from engines.owner import Owner

#: Photos of the owner at most: a few are enough.
MOST = 20
Embeddings = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class EnrolledPhoto:
    """One photo: recogniser name -> its embedding."""

    id: str
    added: float
    embeddings: Embeddings


class Enrolled:
    """All of them; the file is read at every question, since the command line changes it too."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or data_folder() / "owner.json"

    def photos(self) -> list[EnrolledPhoto]:
        """What is enrolled.  Raises ConfigError for a file that cannot be used."""
        try:
            return [EnrolledPhoto(**entry) for entry in read_private(self._path) or []]
        except TypeError as error:
            raise ConfigError(f"{self._path} is damaged: remove it and enrol again") from error

    def add(self, embeddings: Embeddings) -> EnrolledPhoto:
        """One more.  Raises ConfigError where there are enough."""
        photos = self.photos()
        if len(photos) >= MOST:
            raise ConfigError(f"{MOST} photos are enrolled, which is enough: remove one first")
        rounded = {name: [round(value, 6) for value in values] for name, values in embeddings.items()}
        photo = EnrolledPhoto(secrets.token_hex(4), time.time(), rounded)
        self._write([*photos, photo])
        return photo

    def remove(self, number: str) -> bool:
        """Forget one; False if there is none."""
        photos = self.photos()
        rest = [photo for photo in photos if photo.id != number]
        if len(rest) < len(photos):
            self._write(rest)
        return len(rest) < len(photos)

    def _write(self, photos: list[EnrolledPhoto]) -> None:
        write_private(self._path, [asdict(photo) for photo in photos])


def owner_of(photos: Sequence[Embeddings]) -> Owner | None:
    """The owner as the engines want it, None where no photo is enrolled."""
    import torch

    from engines.face.recognise import Identity
    from engines.owner import Owner

    if not photos:
        return None
    return Owner(
        [Identity({name: torch.tensor([values]) for name, values in photo.items()}) for photo in photos]
    )


def enrolled_owner() -> Owner | None:
    """The owner of this machine's data folder."""
    return owner_of([photo.embeddings for photo in Enrolled().photos()])


def plain(identity: Identity) -> dict[str, list[float]]:
    """What recognisers make of one face, as numbers ready for JSON."""
    return {name: embedding[0].tolist() for name, embedding in identity.embeddings.items()}

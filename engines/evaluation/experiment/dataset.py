"""The photos of a dataset and their people, by the layouts in which datasets of faces are published."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engines.errors import ConfigError

#: Suffixes of photos, in small letters; a file is still decoded by its bytes.
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"))
#: Ends the names of this program's own results, which are no photos of a dataset.
_RESULT = "-protected"
_WORN, _BARE = "makeup", "non-makeup"
_HQ_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
_LAYOUTS = (
    "give a folder that holds one folder a person (as LFW), photos with a file of lines 'NAME PERSON' called"
    f" *identity*.txt in it or beside it (as CelebA), or the folders {_WORN}/ and {_BARE}/ (as LADN)"
)


@dataclass(frozen=True)
class Shot:
    """One photo of one person; `name` is its path inside the dataset, with slashes."""

    person: str
    name: str
    path: Path


@dataclass(frozen=True)
class Dataset:
    """All photos by name, their layout ("folders", "identities" or "ladn"), and groups of people.

    `groups`: column -> person -> label, of people of the dataset only; a person may lack a label.
    """

    shots: tuple[Shot, ...]
    layout: str
    groups: Mapping[str, Mapping[str, str]]

    @cached_property
    def people(self) -> dict[str, tuple[Shot, ...]]:
        """Person -> photos, both in the order of names."""
        people: dict[str, list[Shot]] = {person: [] for person in sorted({s.person for s in self.shots})}
        for shot in self.shots:
            people[shot.person].append(shot)
        return {person: tuple(shots) for person, shots in people.items()}


def read_dataset(folder: Path, *, identities: Path | None = None, groups: Path | None = None) -> Dataset:
    """List the photos of a dataset and their people; no photo is opened.

    Layouts, in the order in which they are tried:
    "ladn": makeup/ and non-makeup/, in the folder or in its images/; each photo of non-makeup/ is a
    person, the others are not used (they show other people).
    "identities": loose photos, in the folder or in its only folder with photos, and `identities`, or
    one file *identity*.txt among or beside them, of lines `NAME PERSON`.  Photos of CelebA-HQ
    go by the names that CelebA-HQ-to-CelebA-mapping.txt gives them; photos not listed are left out.
    "folders": one folder a person, in the folder itself or in its only folder that holds such folders.

    `groups` is a CSV file with the header `person,COLUMN,...`; without it, groups.csv of the folder.

    Raises:
        ConfigError: no such folder, another layout, no photo, or a file whose named line is malformed.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: {_LAYOUTS}")
    layout, base, shots = _arrangement(folder, identities)
    if not shots:
        raise ConfigError(f"{base} holds no photo that can be used: {_LAYOUTS}")
    shots = sorted(shots, key=lambda shot: shot.name)
    if groups is None:
        groups = next(
            (place / "groups.csv" for place in (folder, base) if (place / "groups.csv").is_file()), None
        )
    labels = {} if groups is None else _read_groups(groups, {shot.person for shot in shots})
    return Dataset(tuple(shots), layout, labels)


def _arrangement(folder: Path, identities: Path | None) -> tuple[str, Path, list[Shot]]:
    """The layout, the folder that names of photos start from, and the photos."""
    for base in (folder, folder / "images"):
        if identities is None and (base / _WORN).is_dir() and (base / _BARE).is_dir():
            return (
                "ladn",
                base,
                [Shot(photo.name, f"{_BARE}/{photo.name}", photo) for photo in _photos(base / _BARE)],
            )
    loose, people = bool(_photos(folder)), _with_photos(folder)
    flat = folder if loose else people[0] if len(people) == 1 else None
    listed = identities
    if listed is None and flat is not None:
        listed = _identity_file(folder) or _identity_file(flat)
        if listed is None and loose and not people:
            listed = _identity_file(_beside(folder))
    if listed is not None:
        if flat is None:
            raise ConfigError(
                f"{folder}: photos that go by {listed.name} must lie loose in one folder; give that folder"
            )
        return "identities", flat, _listed(folder, flat, listed)
    if not people:
        if loose:
            raise ConfigError(f"{folder} does not say whose its photos are: {_LAYOUTS}")
        folder = _only_nested(folder)
        people = _with_photos(folder)
    found = [
        Shot(person.name, f"{person.name}/{photo.name}", photo)
        for person in people
        for photo in _photos(person)
    ]
    return "folders", folder, found


def _only_nested(folder: Path) -> Path:
    """The one folder inside that holds one folder a person."""
    inside = [sub for sub in _folders(folder) if _with_photos(sub)]
    if len(inside) > 1:
        raise ConfigError(
            f"{folder} holds several datasets: give one of {', '.join(sub.name for sub in inside[:5])}"
        )
    if not inside:
        raise ConfigError(f"{folder} holds no photos: {_LAYOUTS}")
    return inside[0]


def _photos(folder: Path) -> list[Path]:
    """Photos right in a folder, by name, without hidden files, this program's results and broken links."""
    return [
        Path(folder, entry.name)
        for entry in _entries(folder)
        if os.path.splitext(entry.name)[1].lower() in SUFFIXES
        and not Path(entry.name).stem.endswith(_RESULT)
        and _is(entry.is_file)
    ]


def _folders(folder: Path) -> list[Path]:
    """Folders right in a folder, by name; each once, and none that leads back up."""
    real = os.path.realpath(folder)
    seen, found = set(), []
    for entry in _entries(folder):
        if _is(entry.is_dir):
            target = os.path.realpath(entry.path)
            if target not in seen and os.path.commonpath((real, target)) != target:
                seen.add(target)
                found.append(Path(folder, entry.name))
    return found


def _with_photos(folder: Path) -> list[Path]:
    return [sub for sub in _folders(folder) if _photos(sub)]


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}; change its rights") from error
    return (entry for entry in found if entry.name[0] != ".")


def _is(test: Callable[[], bool]) -> bool:
    """A DirEntry's `is_file` or `is_dir`; False for a link that leads in a circle."""
    try:
        return test()
    except OSError:
        return False


def _beside(folder: Path) -> Path:
    return Path(os.path.realpath(folder)).parent


def _identity_file(place: Path) -> Path | None:
    found = [
        Path(place, entry.name)
        for entry in _entries(place)
        if "identity" in entry.name.lower() and entry.name.lower().endswith(".txt") and _is(entry.is_file)
    ]
    if len(found) > 1:
        raise ConfigError(
            f"{place} holds several files of identities: name the one to use, such as {found[0].name}"
        )
    return found[0] if found else None


def _listed(folder: Path, flat: Path, identities: Path) -> list[Shot]:
    """The photos of a flat folder that a file of identities names."""
    by_name = _read_identities(identities)
    by_stem = {Path(name).stem: person for name, person in by_name.items()}  # CelebA is also passed on as PNG
    photos = _photos(flat)
    mappings = [place / _HQ_MAPPING for place in (folder, _beside(folder)) if (place / _HQ_MAPPING).is_file()]
    if mappings:
        original = _read_mapping(mappings[0])
        known = [
            (photo, original[photo.stem]) for photo in photos if by_name.get(original.get(photo.stem, ""))
        ]
        if known:  # else they go by names of their own
            return [Shot(by_name[name], photo.name, photo) for photo, name in known]
    people = [(photo, by_name.get(photo.name) or by_stem.get(photo.stem)) for photo in photos]
    shots = [Shot(person, photo.name, photo) for photo, person in people if person]
    if not shots:
        raise ConfigError(f"{identities} names no photo of {flat}: give the file that belongs to them")
    return shots


def _read_identities(path: Path) -> dict[str, str]:
    """Name of a photo -> person."""
    found: dict[str, str] = {}
    for number, line in _lines(path):
        parts = line.rsplit(maxsplit=1)
        if len(parts) != 2 or found.setdefault(*parts) != parts[1]:
            raise ConfigError(f"{path}, line {number}: write 'NAME PERSON', and every name once")
    return found


def _read_mapping(path: Path) -> dict[str, str]:
    """Number of a photo of CelebA-HQ, as its name has it -> its name in CelebA."""
    found: dict[str, str] = {}
    for number, line in _lines(path):
        parts = line.split()
        if parts[0] == "idx":
            continue
        if len(parts) != 3 or not parts[0].isdecimal():
            raise ConfigError(f"{path}, line {number}: expected the columns idx, orig_idx and orig_file")
        found[parts[0]] = parts[2]
    return found


def _read_groups(path: Path, people: set[str]) -> dict[str, dict[str, str]]:
    """Column -> person -> label, of these people."""
    rows = csv.reader(_text(path).splitlines(), strict=True)
    header: list[str] | None = None
    groups: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if header is None:
                header = _checked_header(path, rows.line_num, cells)
                groups = {column: {} for column in header}
                continue
            person, *labels = cells
            if len(labels) != len(header) or not person or person in seen:
                raise ConfigError(
                    f"{path}, line {rows.line_num}: give one person once, and {len(header)} labels"
                )
            seen.add(person)
            for column, label in zip(header, labels, strict=True):
                if label and person in people:
                    groups[column][person] = label
    except csv.Error as error:
        raise ConfigError(f"{path}, line {rows.line_num}: {error}; write it as CSV") from error
    return groups


def _checked_header(path: Path, number: int, cells: list[str]) -> list[str]:
    columns = cells[1:]
    if cells[0] != "person" or not columns or not all(columns) or len(set(columns)) < len(columns):
        raise ConfigError(
            f"{path}, line {number}: the header must be person,COLUMN,... with every column once"
        )
    return columns


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and contents of the lines that are not blank."""
    lines = enumerate(_text(path).splitlines(), start=1)
    return ((number, line.strip()) for number, line in lines if line.strip())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no text in UTF-8: save it as such") from error

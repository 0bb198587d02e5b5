"""Verification and identification, as trackers do them, on embeddings of one recogniser.

A photo in which no face is found any more is a trial too: it matches no one.  Hits are keyed by the photo's
owner, also where the target was searched for, because intervals are drawn over people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engines.errors import ConfigError
from engines.evaluation.score.statistics import similarities
from engines.models.registry import Metric

#: Person -> name of a photo -> embedding (D,).
Faces = Mapping[str, Mapping[str, np.ndarray]]
#: Person -> the outcome of each trial, for `statistics.rate`.
Hits = dict[str, list[bool]]
#: The person that a probe is compared with: the owner of the photo, or its target.
Wanted = Literal["owner", "target"]
_LIMIT = 2_000_000


@dataclass(frozen=True, eq=False)
class Probe:
    """A photo to search for: owner, name, embedding (D,) or None without a face, target."""

    person: str
    photo: str
    embedding: np.ndarray | None
    target: str | None = None


@dataclass(frozen=True)
class Pair:
    """A probe, by owner and photo, and another photo.  The similarity without a face is -inf."""

    person: str
    photo: str
    other: str
    similarity: float


def pairs(probes: Iterable[Probe], references: Faces, metric: Metric, of: Wanted = "owner") -> list[Pair]:
    """Every probe with every photo of the wanted person, except the probe's own original."""
    compared = []
    for probe in probes:
        faces = {
            name: face for name, face in references.get(_wanted(probe, of), {}).items() if name != probe.photo
        }
        if not faces:
            continue
        if probe.embedding is None:
            alike = np.full(len(faces), -np.inf)
        else:
            alike = similarities(metric, probe.embedding[None], np.stack(list(faces.values())))[0]
        compared += [
            Pair(probe.person, probe.photo, name, float(s)) for name, s in zip(faces, alike, strict=True)
        ]
    return compared


def strongest(runs: Iterable[Sequence[Pair]]) -> list[Pair]:
    """Each pair at the highest similarity that any run gives it: a tracker may try many."""
    best: dict[tuple[str, str], Pair] = {}
    for pair in (pair for run in runs for pair in run):
        known = best.setdefault((pair.photo, pair.other), pair)
        if pair.similarity > known.similarity:
            best[pair.photo, pair.other] = replace(known, similarity=pair.similarity)
    return list(best.values())


def matched(compared: Iterable[Pair], threshold: float) -> Hits:
    """Which pairs match."""
    hits: Hits = {}
    for pair in compared:
        hits.setdefault(pair.person, []).append(pair.similarity > threshold)
    return hits


def matched_by(compared: Iterable[Pair], thresholds: Mapping[str, float]) -> Hits:
    """Which pairs match at the threshold of the other photo; pairs without one are no trial."""
    hits: Hits = {}
    for pair in compared:
        if pair.other in thresholds:
            hits.setdefault(pair.person, []).append(pair.similarity > thresholds[pair.other])
    return hits


def protected(compared: Iterable[Pair], threshold: float, usable: Collection[str]) -> Hits:
    """Which pairs do not match while the photo is `usable`, by its name."""
    hits: Hits = {}
    for pair in compared:
        hits.setdefault(pair.person, []).append(pair.similarity <= threshold and pair.photo in usable)
    return hits


def ranked(
    probes: Iterable[Probe], references: Faces, others: Mapping[str, np.ndarray], metric: Metric
) -> Hits:
    """Whether each clean photo of a probe's owner is more like it than each stranger is.

    `others` holds embeddings (K, D) of strangers by owner.  The share is the area under the curve of a
    tracker that looks for the owner: 1 finds them, .5 cannot tell them from a stranger, and 0 finds them too,
    as the person who is least like the probe.  Equals count for the stranger.  A probe in which no face
    is found is no trial.
    """
    hits: Hits = {}
    for probe in probes:
        clean = [face for name, face in references.get(probe.person, {}).items() if name != probe.photo]
        strange = others.get(probe.person, np.empty((0, 0)))
        if probe.embedding is None or not clean or not len(strange):
            continue
        to_clean, to_strange = (
            similarities(metric, probe.embedding[None], np.asarray(of))[0]
            for of in (np.stack(clean), strange)
        )
        nearer = to_clean[:, None] > to_strange[None]
        hits.setdefault(probe.person, []).extend(nearer.ravel().tolist())
    return hits


def linked(probes: Iterable[Probe], metric: Metric) -> list[Pair]:
    """Every pair of two protected photos of one person.  The similarity without a face is -inf."""
    known: dict[str, list[Probe]] = {}
    compared = []
    for probe in probes:
        for other in known.setdefault(probe.person, []):
            if probe.embedding is None or other.embedding is None:
                alike = -np.inf
            else:
                alike = float(similarities(metric, probe.embedding[None], other.embedding[None])[0, 0])
            compared.append(Pair(probe.person, probe.photo, other.photo, alike))
        known[probe.person].append(probe)
    return compared


def grown(probes: Iterable[Probe], references: Faces, metric: Metric, threshold: float) -> Hits:
    """Which protected photos a tracker takes for their owner, whose gallery takes in what it accepts.

    It begins with the owner's clean photos but the probe's own original, and looks at the photos again until
    it accepts no more.  So one protected photo that matches brings in those that are like it.
    """
    hits: Hits = {}
    by_person: dict[str, list[Probe]] = {}
    for probe in probes:
        by_person.setdefault(probe.person, []).append(probe)
    for person, photos in by_person.items():
        clean = references.get(person, {})
        if len(clean) < 2:
            continue
        accepted: dict[str, np.ndarray] = {}
        growing = True
        while growing:
            growing = False
            for probe in photos:
                if probe.embedding is None or probe.photo in accepted:
                    continue
                gallery = [face for name, face in clean.items() if name != probe.photo]
                gallery += accepted.values()
                if similarities(metric, probe.embedding[None], np.stack(gallery)).max() > threshold:
                    accepted[probe.photo] = probe.embedding
                    growing = True
        hits[person] = [probe.photo in accepted for probe in photos]
    return hits


def impostors(faces: Faces, metric: Metric, *, limit: int = _LIMIT, seed: int = 0) -> np.ndarray:
    """Similarities (N,) of all pairs of photos of different people.

    Photos are drawn where they make more pairs than `limit`.
    """
    embeddings, owners = _stacked(faces, int((2 * limit) ** 0.5), seed)
    if not len(owners):
        return np.empty(0)
    first, second = np.triu_indices(len(owners), k=1)
    different = owners[first] != owners[second]
    return similarities(metric, embeddings, embeddings)[first[different], second[different]]


def strangers(
    faces: Faces, others: np.ndarray, metric: Metric, *, limit: int = _LIMIT, seed: int = 0
) -> np.ndarray:
    """Similarities (N,) of all photos with embeddings (K, D) of other people.

    Photos are drawn where they make more pairs than `limit`.
    """
    if not len(others):
        return np.empty(0)
    embeddings, owners = _stacked(faces, max(1, limit // len(others)), seed)
    return similarities(metric, embeddings, others).ravel() if len(owners) else np.empty(0)


@dataclass(frozen=True, eq=False)
class Gallery:
    """The people that a tracker knows: embeddings (G, D), each with an identity and the name of its photo."""

    embeddings: np.ndarray
    identities: tuple[str, ...]
    photos: tuple[str, ...]

    @staticmethod
    def of(*faces: Faces, distractors: np.ndarray | None = None) -> Gallery:
        """All of these faces, and embeddings (K, D) of distractors: people with one photo each.

        A person may be in several of `faces`, say with clean and with protected photos.

        Raises:
            ConfigError: there is no face.
        """
        entries = [
            (face, person, name)
            for known in faces
            for person, of in known.items()
            for name, face in of.items()
        ]
        # No person's name has a slash where people are folders.
        entries += [
            (face, f"distractor/{i}", "") for i, face in enumerate(() if distractors is None else distractors)
        ]
        if not entries:
            raise ConfigError("a gallery needs faces: give photos of more people")
        embeddings, identities, photos = zip(*entries, strict=True)
        return Gallery(np.stack(embeddings), identities, photos)


def identification(
    probes: Iterable[Probe],
    gallery: Gallery,
    metric: Metric,
    of: Wanted = "owner",
    ranks: Sequence[int] = (1, 5),
) -> dict[int, Hits]:
    """Rank -> which probes have the wanted person within so many places; a person scores by the best entry.

    Entries of the probe's own photo do not count.  A probe whose wanted person is then not in the gallery is
    no trial. Equals count against protection: the owner comes first among them, a target last.
    """
    enrolled = set(gallery.identities)
    probes = [probe for probe in probes if _wanted(probe, of) in enrolled]
    hits: dict[int, Hits] = {k: {} for k in ranks}
    if not probes:
        return hits
    width, photos = gallery.embeddings.shape[1], np.array(gallery.photos)
    embeddings = np.stack(
        [np.zeros(width) if probe.embedding is None else probe.embedding for probe in probes]
    )
    alike = similarities(metric, embeddings, gallery.embeddings)
    alike[np.array([probe.photo for probe in probes])[:, None] == photos[None]] = -np.inf
    names, scores = _scores(alike, gallery.identities)
    columns = np.array([names[_wanted(probe, of)] for probe in probes])
    places = _places(scores, columns, first_among_equals=of == "owner")
    for row, (probe, column) in enumerate(zip(probes, columns, strict=True)):
        if np.isfinite(scores[row, column]):
            for k in ranks:
                hits[k].setdefault(probe.person, []).append(
                    probe.embedding is not None and bool(places[row] <= k)
                )
    return hits


def _wanted(probe: Probe, of: Wanted) -> str:
    """The person that a probe is compared with; "" where it has no target."""
    return probe.person if of == "owner" else probe.target or ""


def _scores(alike: np.ndarray, identities: Sequence[str]) -> tuple[dict[str, int], np.ndarray]:
    """Similarities (P, G) to the best of each identity (P, I), with the column of each."""
    names, code = np.unique(np.array(identities), return_inverse=True)
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(len(names)))
    return {str(name): i for i, name in enumerate(names)}, np.maximum.reduceat(
        alike[:, order], starts, axis=1
    )


def _places(scores: np.ndarray, columns: np.ndarray, first_among_equals: bool) -> np.ndarray:
    """The place (P,), from 1, of one column (P,) of each row of scores (P, I)."""
    own = np.take_along_axis(scores, columns[:, None], axis=1)
    return 1 + (scores > own).sum(axis=1) if first_among_equals else (scores >= own).sum(axis=1)


def _stacked(faces: Faces, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, D) and their owners (N,), `most` of them drawn if there are more."""
    all_faces = [(face, person) for person, of in faces.items() for face in of.values()]
    if not all_faces:
        return np.empty((0, 0)), np.empty(0, str)
    chosen = np.arange(len(all_faces))
    if len(all_faces) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(all_faces), most, replace=False))
    return np.stack([all_faces[i][0] for i in chosen]), np.array([all_faces[i][1] for i in chosen])

"""Verification and identification on faces that are points of a plane, so that all can be told by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engines.errors import ConfigError
from engines.evaluation.score.protocols import (
    Gallery,
    Pair,
    Probe,
    grown,
    identification,
    impostors,
    linked,
    matched,
    matched_by,
    pairs,
    protected,
    ranked,
    strangers,
    strongest,
)
from engines.evaluation.score.statistics import rate


def at(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([x, y])


FACES = {
    "ann": {"ann/1": at(0), "ann/2": at(1), "ann/3": at(3)},
    "bea": {"bea/1": at(10), "bea/2": at(12)},
    "cyd": {"cyd/1": at(-20)},
}


# --- verification -------------------------------------------------------------------------------------
def test_a_probe_is_compared_with_the_other_photos_of_its_owner() -> None:
    found = pairs([Probe("ann", "ann/1", at(0.5)), Probe("cyd", "cyd/1", at(-20))], FACES, "euclidean")
    assert found == [Pair("ann", "ann/1", "ann/2", -0.5), Pair("ann", "ann/1", "ann/3", -2.5)]
    assert matched(found, -1) == {"ann": [True, False]}
    assert matched(found, -0.5) == {"ann": [False, False]}  # a match lies above the threshold


def test_every_photo_may_have_a_threshold_of_its_own() -> None:
    found = pairs([Probe("ann", "ann/1", at(0.5))], FACES, "euclidean")
    assert matched_by(found, {"ann/2": -1, "ann/3": -1}) == {"ann": [True, False]}
    assert matched_by(found, {"ann/3": -3}) == {"ann": [True]}  # the other one has none


@pytest.mark.parametrize(
    ("where", "nearer"),
    [
        (1.0, [True] * 4),  # the owner
        (-30.0, [False] * 4),  # their opposite
        (6.0, [True, False, True, False]),
    ],
)
def test_the_rank_tells_the_owner_from_strangers_and_from_the_opposite(
    where: float, nearer: list[bool]
) -> None:
    others = {"ann": np.stack([at(40), at(8)]) if where > 0 else np.stack([at(-40), at(-8)])}
    probes = [Probe("ann", "ann/1", at(where)), Probe("ann", "ann/2", None), Probe("bea", "bea/1", at(10))]
    assert ranked(probes, FACES, others, "euclidean") == {"ann": nearer}  # bea has no strangers


def test_protected_photos_of_one_person_are_linked_once_a_pair() -> None:
    probes = [
        Probe("ann", "ann/1", at(5)),
        Probe("ann", "ann/2", at(6)),
        Probe("ann", "ann/3", None),
        Probe("bea", "bea/1", at(5)),
    ]
    found = linked(probes, "euclidean")
    assert [(pair.photo, pair.other, pair.similarity) for pair in found] == [
        ("ann/2", "ann/1", -1),
        ("ann/3", "ann/1", -np.inf),
        ("ann/3", "ann/2", -np.inf),
    ]


def test_a_tracker_that_grows_follows_a_chain() -> None:
    """3.8 is near the clean 3, 4.6 only near 3.8; nothing is near 9, and nobody's own original counts."""
    photos = (("ann/3", 4.6), ("ann/1", 3.8), ("ann/2", 9.0))
    probes = [Probe("ann", name, at(x)) for name, x in photos]
    assert grown(probes, FACES, "euclidean", -1) == {"ann": [True, True, False]}
    assert grown(probes, FACES, "euclidean", -0.7) == {"ann": [False, False, False]}
    alone = [Probe("cyd", "cyd/1", at(-20)), Probe("ann", "ann/2", at(1))]
    assert grown(alone, FACES, "euclidean", -1.5) == {"ann": [True]}  # cyd has no other clean photo


def test_a_face_that_is_not_found_matches_nobody() -> None:
    found = pairs([Probe("ann", "ann/1", None), Probe("bea", "bea/1", at(12))], FACES, "euclidean")
    assert matched(found, -1) == {"ann": [False, False], "bea": [True]}
    assert rate(matched(found, -1)).value == 1 / 3


def test_the_target_is_another_person_and_the_hit_is_the_owners() -> None:
    probes = [
        Probe("ann", "ann/1", at(11), target="bea"),
        Probe("ann", "ann/2", at(1)),
        Probe("cyd", "cyd/1", at(0)),
    ]
    found = pairs(probes, FACES, "euclidean", of="target")
    assert found == [Pair("ann", "ann/1", "bea/1", -1), Pair("ann", "ann/1", "bea/2", -1)]


def test_protected_is_no_match_and_usable() -> None:
    found = [Pair("ann", "a", "x", 0.1), Pair("ann", "b", "x", 0.1), Pair("ann", "a", "y", 0.9)]
    assert protected(found, 0.5, {"a"}) == {"ann": [True, False, False]}
    assert protected([Pair("ann", "a", "x", 0.5)], 0.5, {"a"}) == {"ann": [True]}


def test_a_tracker_that_tries_many_has_the_best_of_each_pair() -> None:
    runs = [
        [Pair("ann", "a", "x", 0.1), Pair("ann", "a", "y", 0.9)],
        [Pair("ann", "a", "x", 0.7), Pair("ann", "a", "y", 0.2)],
        [Pair("bea", "b", "x", -np.inf)],
    ]
    assert strongest(runs) == [
        Pair("ann", "a", "x", 0.7),
        Pair("ann", "a", "y", 0.9),
        Pair("bea", "b", "x", -np.inf),
    ]


# --- impostors ----------------------------------------------------------------------------------------
def test_impostors_are_the_pairs_of_different_people() -> None:
    expected = [
        -abs(a[0] - b[0])
        for one, other in itertools.combinations(FACES, 2)
        for a in FACES[one].values()
        for b in FACES[other].values()
    ]
    assert sorted(impostors(FACES, "euclidean")) == pytest.approx(sorted(expected))
    assert len(impostors({"ann": FACES["ann"]}, "euclidean")) == len(impostors({}, "euclidean")) == 0


def test_strangers_are_compared_with_everybody() -> None:
    found = strangers(FACES, np.array([at(0), at(0, 5)]), "euclidean")
    expected = [-np.hypot(f[0], y) for faces in FACES.values() for f in faces.values() for y in (0, 5)]
    assert found == pytest.approx(expected)
    assert (
        len(strangers(FACES, np.empty((0, 2)), "euclidean"))
        == len(strangers({}, np.ones((1, 2)), "euclidean"))
        == 0
    )


def test_of_too_many_photos_some_are_drawn() -> None:
    many = {str(i): {f"{i}/1": at(i)} for i in range(100)}
    found = impostors(many, "euclidean", limit=200)
    assert len(found) == 20 * 19 / 2
    assert np.array_equal(found, impostors(many, "euclidean", limit=200))
    assert len(strangers(many, np.zeros((5, 2)), "euclidean", limit=50)) == 10 * 5


# --- identification -----------------------------------------------------------------------------------
#: A gallery of four photos of three people.
FOUR = Gallery(np.array([at(0), at(4), at(6), at(9)]), ("ann", "bea", "ann", "cyd"), tuple("1234"))


def place(gallery: Gallery, probe: Probe, metric: str, of: str = "owner") -> int:
    """The first rank at which a probe's person is found."""
    ranks = range(1, len(gallery.photos) + 1)
    hits = identification([probe], gallery, metric, of, ranks=ranks)  # type: ignore[arg-type]
    return next(rank for rank in ranks if hits[rank][probe.person] == [True])


@pytest.mark.parametrize(
    ("x", "wanted", "first", "last"),
    [
        (1.0, "ann", 1, 1),
        (1.0, "bea", 2, 2),
        (1.0, "cyd", 3, 3),
        (5.5, "ann", 1, 1),
        (4.5, "ann", 2, 2),
        (8.0, "cyd", 1, 1),
        (5.0, "ann", 1, 2),
        (5.0, "bea", 1, 2),  # ann by her second photo as near as bea
    ],
)
def test_places_by_hand(x: float, wanted: str, first: int, last: int) -> None:
    """Equals count against protection: the owner comes first among them, a target last."""
    assert place(FOUR, Probe(wanted, "", at(x)), "euclidean") == first
    assert place(FOUR, Probe("someone", "", at(x), target=wanted), "euclidean", "target") == last


def test_places_are_those_of_sorting_all_entries() -> None:
    random = np.random.default_rng(0)
    embeddings, names = random.standard_normal((60, 5)), tuple(f"p{i % 17}" for i in range(60))
    gallery = Gallery(embeddings, names, tuple(str(i) for i in range(60)))
    for probe in random.standard_normal((20, 5)):
        cosines = embeddings @ probe / np.linalg.norm(embeddings, axis=1)
        order = list(dict.fromkeys(names[i] for i in np.argsort(-cosines)))
        places = [place(gallery, Probe(name, "", probe), "cosine") for name in order]
        assert places == list(range(1, 18))


def test_identification_counts_places_by_owner() -> None:
    """ann/1 moved to 9: bea's 10 is nearer than ann's 3.  cyd has no photo left to be known by."""
    gallery = Gallery.of(FACES, distractors=np.array([at(100), at(0, 100)]))
    assert gallery.identities[-2:] == ("distractor/0", "distractor/1")
    probes = [Probe("ann", "ann/1", at(9)), Probe("ann", "ann/2", at(2)), Probe("bea", "bea/1", None)]
    found = identification([*probes, Probe("cyd", "cyd/1", at(-20))], gallery, "euclidean", ranks=(1, 2))
    assert found == {1: {"ann": [False, True], "bea": [False]}, 2: {"ann": [True, True], "bea": [False]}}


def test_identification_passes_over_every_entry_of_the_same_photo() -> None:
    """The gallery has the protected ann/1 as well, and the probe is that very picture."""
    guarded = {"ann": {"ann/1": at(50)}}
    probe = Probe("ann", "ann/1", at(50))
    assert identification([probe], Gallery.of(FACES, guarded), "euclidean", ranks=(1,)) == {
        1: {"ann": [False]}
    }
    other = Probe("ann", "ann/2", at(50))
    assert identification([other], Gallery.of(FACES, guarded), "euclidean", ranks=(1,)) == {
        1: {"ann": [True]}
    }


def test_identification_of_the_target_has_equals_before_it() -> None:
    gallery = Gallery.of({"ann": {"ann/2": at(0)}, "bea": {"bea/1": at(2)}})
    probe = Probe("ann", "ann/1", at(1), target="bea")
    assert identification([probe], gallery, "euclidean", "target", ranks=(1, 2)) == {
        1: {"ann": [False]},
        2: {"ann": [True]},
    }
    assert identification([probe], gallery, "euclidean", ranks=(1,)) == {1: {"ann": [True]}}
    assert identification([Probe("ann", "ann/1", at(1))], gallery, "euclidean", "target") == {1: {}, 5: {}}


def test_a_probes_own_photo_does_not_count_among_many() -> None:
    """The same places as in a gallery without that photo."""
    random = np.random.default_rng(1)
    faces = {f"p{i}": {f"p{i}/{k}": random.standard_normal(6) + 0.5 * i for k in range(3)} for i in range(8)}
    gallery = Gallery.of(faces, distractors=random.standard_normal((30, 6)))
    probes = [Probe(p, f"{p}/0", faces[p][f"{p}/0"] + 0.5 * random.standard_normal(6)) for p in faces]
    found = identification(probes, gallery, "cosine", ranks=(1, 3))
    for probe in probes:
        kept = [i for i, photo in enumerate(gallery.photos) if photo != probe.photo]
        names, photos = (tuple(of[i] for i in kept) for of in (gallery.identities, gallery.photos))
        rank = place(Gallery(gallery.embeddings[kept], names, photos), probe, "cosine")
        assert {k: found[k][probe.person] for k in (1, 3)} == {k: [rank <= k] for k in (1, 3)}
    assert 0 < rate(found[1]).value < 1


def test_an_empty_gallery_is_refused() -> None:
    with pytest.raises(ConfigError, match="a gallery needs faces"):
        Gallery.of({}, distractors=np.empty((0, 4)))

"""Trials of made-up embeddings: judges, outcomes, galleries, labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engines.evaluation.experiment.dataset import Dataset, Shot
from engines.evaluation.score.protocols import Pair
from engines.evaluation.score.trials import judge_of, merged, outcome_of, trials_of
from tests.support.evaluation import COSINE, EUCLIDEAN, sample_evidence


def test_a_judge_knows_the_clean_photos_the_strangers_and_the_targets() -> None:
    judge = judge_of(sample_evidence(modes=("dodge", "impersonate")), EUCLIDEAN)
    assert {person: list(faces) for person, faces in judge.references.items()}["b"] == ["b/1", "b/2"]
    assert judge.strangers.shape == (2, 24)
    assert sorted(judge.targets) == ["target/a", "target/b", "target/c"]
    assert judge.own == judge.thresholds["own"] == -0.69
    assert set(judge.thresholds) == {"own", "0.1", "0.01", "0.001"}


def test_a_margin_is_0_at_the_threshold_and_minus_1_at_a_typical_pair() -> None:
    judge = judge_of(sample_evidence(), COSINE)
    assert judge.margin(Pair("a", "a/1", "a/2", 0.21)) == 0
    assert judge.margin(Pair("a", "a/1", "a/2", 0.73)) == pytest.approx(-1)


def test_an_outcome_tells_failures_from_inspections() -> None:
    evidence = sample_evidence()
    outcome = outcome_of(evidence, judge_of(evidence, COSINE), "strong", "dodge")
    assert outcome is not None
    assert outcome.failures == {"c/1": "no face was found"}
    assert list(outcome.inspections) == ["a/1", "b/1"]
    assert outcome_of(evidence, judge_of(evidence, COSINE), "strong", "impersonate") is None


def test_a_persons_own_threshold_comes_from_their_look_alikes() -> None:
    judge = judge_of(sample_evidence(), COSINE)
    assert set(judge.own_thresholds) == {"a/1", "a/2", "a/3", "b/1", "b/2"}  # c and d have none
    assert judge.own_thresholds["b/1"] > 1 > judge.own_thresholds["a/1"]
    assert judge.peers["a"].shape == (2, 24) and judge.peers["c"].shape == (0, 0)


def test_the_strangers_of_a_person_are_people_of_the_same_groups_if_there_are_enough() -> None:
    evidence = sample_evidence()
    names = [*evidence.clean, *(f"{p}/1" for p in "efgh")]
    shots = tuple(Shot(name[0], name, Path(name)) for name in names)
    clean = dict(zip(names, [*evidence.clean.values(), *list(evidence.clean.values())[:4]], strict=True))
    groups = {"hair": dict.fromkeys("abcdefgh", "red") | {"b": "black"}}
    more = dataclasses.replace(evidence, dataset=Dataset(shots, "folders", groups), clean=clean)
    judge = judge_of(more, COSINE)
    assert len(judge.peers["a"]) == 7  # two photos of c, one of d to h: b has other hair
    assert len(judge.peers["b"]) == 2  # nobody else has black hair: two look-alikes


def test_trials_beside_strangers_and_of_links() -> None:
    evidence = sample_evidence()
    evidence = dataclasses.replace(evidence, plan=dataclasses.replace(evidence.plan, closely=("balanced",)))
    trials = trials_of(outcome_of(evidence, judge_of(evidence, COSINE), "balanced", "dodge"))
    # By hand: a's clean photos are at cosine .09 of the protected one, a's look-alikes at .04 and .02; b's
    # clean photo is at .81, as far as the nearer one of b's look-alikes.
    assert trials["rank",] == {"a": [True] * 4, "b": [False, True]}
    assert trials["cohort", "none"] == {"a": [False, False], "b": [False]}
    assert trials["cohort", "jpeg-50"] == {"a": [True, True], "b": [False]}
    assert trials["linked", "own"] == {}  # one protected photo of each
    assert trials["linked", "grown"] == {"a": [False], "b": [True], "c": [False]}
    strong = trials_of(outcome_of(evidence, judge_of(evidence, COSINE), "strong", "dodge"))
    assert not any(path[0] == "linked" for path in strong)


def test_a_photo_is_usable_with_a_face_and_a_high_ssim() -> None:
    evidence = sample_evidence()
    outcome = outcome_of(evidence, judge_of(evidence, COSINE), "balanced", "dodge")
    assert outcome is not None and outcome.usable == {"a/1"}


def test_a_method_that_is_looked_at_closely_has_more_galleries_and_a_tracker_that_learns() -> None:
    evidence = sample_evidence()
    plan = dataclasses.replace(evidence.plan, closely=("balanced",))
    closely = dataclasses.replace(evidence, plan=plan)
    plain, more = (
        trials_of(outcome_of(e, judge_of(e, COSINE), "balanced", "dodge")) for e in (evidence, closely)
    )
    assert {path[1] for path in plain if path[0] == "identification"} == {"clean"}
    galleries = {path[1] for path in more if path[0] == "identification"}
    assert galleries == {"clean", "mixed", "protected", "protected, probe clean"}
    assert more.keys() - plain.keys() >= {("adaptive", "head"), ("adaptive", "untaught")}
    assert {person: len(hits) for person, hits in more["adaptive", "head"].items()} == {
        "a": 2,
        "b": 1,
        "c": 1,
    }


def test_protocols_that_were_not_asked_for_are_not_tried() -> None:
    evidence = sample_evidence()
    plan = dataclasses.replace(evidence.plan, protocols=("identification",))
    evidence = dataclasses.replace(evidence, plan=plan)
    trials = trials_of(outcome_of(evidence, judge_of(evidence, COSINE), "balanced", "dodge"))
    assert {path[0] for path in trials} == {"identification"}


def test_trials_before_two_judges_stay_with_their_people() -> None:
    path = ("verification", "own")
    assert merged([{path: {"a": [True], "b": [False]}}, {path: {"a": [False]}, ("any",): {"b": [True]}}]) == {
        path: {"a": [True, False], "b": [False]},
        ("any",): {"b": [True]},
    }


@pytest.mark.parametrize(
    ("size", "label"),
    [(99, "under 100 px"), (100, "100 to 200 px"), (399, "200 to 400 px"), (400, "400 px or more")],
)
def test_faces_are_grouped_by_size(size: float, label: str) -> None:
    evidence = sample_evidence()
    for result in evidence.clean.values():
        result.values["size"] = size
    trials = trials_of(outcome_of(evidence, judge_of(evidence, COSINE), "balanced", "dodge"))
    assert [path[2] for path in trials if path[:2] == ("groups", "face size")] == [label]
    assert np.sum([len(hits) for hits in trials["groups", "face size", label].values()]) == 4

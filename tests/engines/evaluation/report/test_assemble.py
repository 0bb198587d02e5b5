"""The report's figures from made-up embeddings, beside what a hand comes to."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import recall_score

from engines.evaluation.experiment.tasks import Networks
from engines.evaluation.report.assemble import assemble, judges_of
from engines.evaluation.report.schema import EvaluationReport, Row
from tests.support.evaluation import COSINE, EUCLIDEAN, sample_evidence

NETWORKS = Networks("cpu")


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    found = sample_evidence(modes=("dodge", "impersonate"))
    return assemble(found, judges_of(found), NETWORKS)


def row(report: EvaluationReport, method: str, held_out: str = "all") -> Row:
    (found,) = (r for r in report["rows"] if (r["method"], r["held_out"]) == (method, held_out))
    return found


def test_verification_counts_pairs_with_other_photos(report: EvaluationReport) -> None:
    """a has two other photos, b and c one each; of the four pairs only b's matches."""
    one = row(report, "balanced", COSINE)
    assert (one["photos"], one["pairs"]) == (3, 4)
    assert one["verification"]["own"]["value"] == 0.25
    assert one["verification"]["own"]["value"] == recall_score([1] * 4, [0, 0, 1, 0])
    assert row(report, "balanced")["verification"]["own"] | {"low": 0, "high": 0} == {
        "value": 0.25,
        "low": 0,
        "high": 0,
        "n": 8,
        "people": 3,
    }
    assert one["people"] == {"a": 0, "b": 1, "c": 0}


def test_a_margin_is_in_units_of_a_typical_pair(report: EvaluationReport) -> None:
    """Cosine: .21 is the threshold, .73 a typical pair.  c's face is gone and has none."""
    alike = [np.cos(np.radians(85)) * np.cos(np.radians(10))] * 2 + [
        np.cos(np.radians(35)) * np.cos(np.radians(10))
    ]
    margin = row(report, "balanced", COSINE)["margin"]
    assert margin["mean"] == pytest.approx(np.mean([(0.21 - a) / (0.73 - 0.21) for a in alike]), abs=1e-5)
    assert margin["least"] == pytest.approx((0.21 - alike[2]) / 0.52, abs=1e-5)


def test_protected_and_natural_wants_a_face_that_is_there_and_like_the_photo(
    report: EvaluationReport,
) -> None:
    """a's two pairs; b's photo matches (and is not natural), c's face is gone."""
    one = row(report, "balanced", EUCLIDEAN)
    assert one["protected"]["own"]["value"] == 0.5
    assert one["naturalness"]["usable"] == pytest.approx(1 / 3)
    assert one["naturalness"]["found"] == pytest.approx(2 / 3)
    assert one["naturalness"]["ssim"] == {"median": 0.95, "worst": 0.7}


def test_the_worst_transform_and_any_of_them(report: EvaluationReport) -> None:
    one = row(report, "balanced", COSINE)
    assert one["transforms"]["jpeg-50"]["matched"]["value"] == 0.75
    assert one["worst"]["transform"] == "jpeg-50"
    assert one["mean"]["value"] == 0.75 and one["any"]["value"] == 0.75


def test_identification_ranks_the_owner_among_people_and_strangers(report: EvaluationReport) -> None:
    """a's probe is nearest to its own axis all the same: .09 beats the zeros of everybody else."""
    ranks = row(report, "balanced", COSINE)["identification"]
    assert list(ranks) == ["clean"]
    assert ranks["clean"]["rank1"]["value"] == pytest.approx(2 / 3)
    assert ranks["clean"]["rank1"]["n"] == 3


def test_equals_count_against_protection(report: EvaluationReport) -> None:
    """By "strong" nobody is like anybody: the owner is first among equals."""
    assert row(report, "strong", COSINE)["verification"]["own"]["value"] == 0
    assert row(report, "strong", COSINE)["identification"]["clean"]["rank1"]["value"] == 1


def test_failures_are_counted_apart(report: EvaluationReport) -> None:
    one = row(report, "strong", COSINE)
    assert one["failures"] == [{"photo": "c/1", "held_out": COSINE, "why": "no face was found"}]
    assert (one["photos"], one["pairs"]) == (2, 3)
    assert len(row(report, "strong")["failures"]) == 2


def test_groups_split_the_pairs(report: EvaluationReport) -> None:
    hair = row(report, "balanced", COSINE)["groups"]["hair"]
    assert {label: (rate["value"], rate["n"]) for label, rate in hair.items()} == {
        "red": (0, 2),
        "black": (0.5, 2),
    }
    assert set(row(report, "balanced")["groups"]) == {"hair", "face size", "pose"}
    assert set(row(report, "balanced")["groups"]["face size"]) == {"100 to 200 px"}


def test_impersonation_has_the_target_and_the_owner(report: EvaluationReport) -> None:
    """a comes within 30 degrees of the target and 60 of the owner (.49): both match.  b only its owner, c
    nobody.
    """
    one = row(report, "pgd", COSINE)
    assert one["target"]["own"]["value"] == pytest.approx(1 / 3)
    assert one["target"]["own"]["n"] == 3
    assert one["verification"]["own"]["value"] == 0.75
    assert one["identification"]["clean"]["target_rank1"]["value"] == pytest.approx(1 / 3)
    assert one["identification"]["clean"]["rank1"]["value"] == pytest.approx(1 / 3)


def test_thresholds_say_what_they_were_read_off(report: EvaluationReport) -> None:
    """8 photos make 23 pairs of different people, and 16 with two strangers: too few for any rate."""
    about = report["thresholds"][COSINE]
    assert about["own"] == 0.21 and report["thresholds"][EUCLIDEAN]["own"] == -0.69
    assert about["far"]["0.1"]["source"] == "23 pairs of real photos, too few for this rate: 100 are needed"


def test_the_report_is_the_same_every_time_and_json() -> None:
    made = []
    for _ in range(2):
        found = sample_evidence()
        report = assemble(found, judges_of(found), NETWORKS)
        assert report.pop("timing")["seconds"]["balanced"] == {"dodge": {"median": 2.0, "photos": 6}}
        made.append(json.dumps(report, allow_nan=False))
    assert made[0] == made[1]

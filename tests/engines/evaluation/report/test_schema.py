"""The report's types hold for a report that was assembled, and for the sample of these tests."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from engines.evaluation.experiment.tasks import Networks
from engines.evaluation.report.assemble import assemble, judges_of
from engines.evaluation.report.schema import EvaluationReport, at, modes, pooled
from tests.support.evaluation import METHODS, sample_evidence, sample_report


def mismatches(value: Any, kind: Any, path: str = "report") -> list[str]:
    """The places where a value is not of a type."""
    if kind is Any:
        return []
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{path}: {value!r}"]
        hints = get_type_hints(kind, include_extras=True)
        optional = {key for key, hint in hints.items() if get_origin(hint) is NotRequired}
        wrong = [f"{path}: {key}" for key in value.keys() ^ hints.keys() if key not in optional]
        plain = get_type_hints(kind)
        return wrong + [
            m
            for key in value.keys() & plain.keys()
            for m in mismatches(value[key], plain[key], f"{path}/{key}")
        ]
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        found = [mismatches(value, choice, path) for choice in get_args(kind)]
        return [] if [] in found else min(found, key=len)
    if origin is Literal:
        return [] if value in get_args(kind) else [f"{path}: {value!r}"]
    if origin is dict:
        return (
            [m for key, item in value.items() for m in mismatches(item, get_args(kind)[1], f"{path}/{key}")]
            if isinstance(value, dict)
            else [f"{path}: {value!r}"]
        )
    if origin is list:
        return (
            [m for item in value for m in mismatches(item, get_args(kind)[0], path)]
            if isinstance(value, list)
            else [f"{path}: {value!r}"]
        )
    kinds = (int, float) if kind is float else (NoneType if kind is None else kind,)
    return [] if isinstance(value, kinds) else [f"{path}: {value!r} is no {kind}"]


@pytest.mark.parametrize("modes", [("dodge",), ("dodge", "impersonate")])
def test_an_assembled_report_has_its_types(modes: Any) -> None:
    evidence = sample_evidence(modes=modes)
    report = assemble(evidence, judges_of(evidence), Networks("cpu"))
    assert mismatches(report, EvaluationReport) == []


def test_the_sample_has_its_types() -> None:
    assert mismatches(sample_report(), EvaluationReport) == []


def test_another_type_is_noticed() -> None:
    report = sample_report()
    report["rows"][0]["verification"]["own"]["value"] = "6 %"
    del report["rows"][1]["naturalness"]["psnr"]
    assert len(mismatches(report, EvaluationReport)) == 2


def test_rows_are_found_by_mode_and_figures_by_path() -> None:
    report = sample_report()
    assert modes(report) == ["dodge", "impersonate"]
    assert [row["method"] for row in pooled(report, "dodge")] == [method[0] for method in METHODS]
    row = pooled(report, "dodge")[0]
    assert at(row, "naturalness", "psnr", "median") == 100
    assert at(row, "target", "own", "value") is at(None, "target") is None

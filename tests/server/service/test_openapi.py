"""The API's description against the API: routes, words, and what schemathesis makes of both."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from engines import config, report
from engines.config import Settings
from server.common.problems import CODES
from server.service.intake import OPTIONS
from server.service.routes import OPEN_PATHS, make_app
from tests.support import scripted
from tests.support.live import Live

METHODS = {"get", "post", "put", "delete", "patch", "head", "options"}


@pytest.fixture
def document(live: Live) -> dict[str, Any]:
    return live.ask("GET", "/v1/openapi.json").json


def test_it_describes_every_route_and_no_other(live: Live, document: dict[str, Any]) -> None:
    described = {(m.upper(), path) for path, item in document["paths"].items() for m in item if m in METHODS}
    routes = {
        (r.method, r.resource.canonical) for r in make_app(live.server.service).router.routes() if r.resource
    }
    assert {route for route in routes if route[1].startswith("/v1/")} == described


def test_it_says_what_needs_a_token(document: dict[str, Any]) -> None:
    free = {path for path, item in document["paths"].items() for o in item.values() if o["security"] == []}
    assert free == {path for path in OPEN_PATHS if path.startswith("/v1/")}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/protect"])
def test_its_options_are_the_engines_own(document: dict[str, Any], path: str) -> None:
    options = {
        p["name"]: p["schema"] for p in document["paths"][path]["post"]["parameters"] if p["in"] == "query"
    }
    assert set(options) == set(OPTIONS)
    for name, kind in (
        ("mode", config.Mode),
        ("level", config.Level),
        ("faces", config.Faces),
        ("render", config.Render),
    ):
        assert options[name]["enum"] == list(get_args(kind))


def test_its_codes_are_all_there_are(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == list(CODES)


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type of `engines.report`."""
    if is_typeddict(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": sorted(arguments)}
    if origin in (list, Sequence):
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin is NotRequired:
        return schema_of(arguments[0])
    if origin is UnionType:
        return {"type": [SIMPLE[argument] for argument in arguments]}
    return {"type": SIMPLE[kind]}


SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
REPORTS = [kind for kind in vars(report).values() if is_typeddict(kind)]


def sorted_enums(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: sorted(v) if k == "enum" else sorted_enums(v) for k, v in schema.items()}
    return schema


@pytest.mark.parametrize("kind", REPORTS, ids=lambda kind: kind.__name__)
def test_a_report_is_described_as_the_engines_type_it(document: dict[str, Any], kind: Any) -> None:
    described = document["components"]["schemas"][kind.__name__]
    typed = get_type_hints(kind, include_extras=True)
    assert described["additionalProperties"] is False
    # Not `__required_keys__`: with postponed annotations Python 3.11 takes every key for required.
    required = {name for name, hint in typed.items() if get_origin(hint) is not NotRequired}
    assert set(described["required"]) == required
    assert sorted_enums(described["properties"]) == {name: schema_of(hint) for name, hint in typed.items()}


def test_there_are_reports_to_compare(document: dict[str, Any]) -> None:
    assert {kind.__name__ for kind in REPORTS} >= {"Report", "FaceReport", "RecogniserReport"}
    assert document["components"]["schemas"]["Job"]["properties"]["report"] == schema_of(report.Report)


def test_the_scripted_workers_report_is_one() -> None:
    assert set(scripted.REPORT) == report.Report.__required_keys__
    assert set(scripted.FACE) == report.FaceReport.__required_keys__
    assert set(scripted.REPORT["settings"]) == set(Settings().as_options())


def test_schemathesis_finds_nothing(live: Live, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{live.port}/v1/openapi.json",
        "-H",
        f"Authorization: Bearer {live.token}",
        "--checks",
        "all",
        # What a schema allows may still be refused: a prompt without words, a target without its mode, a full
        # queue.
        "--exclude-checks",
        "positive_data_acceptance",
        "--max-examples",
        "15",
        "--seed",
        "1",
        "--generation-database",
        "none",
        "--no-color",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert int(re.search(r"(\d+) generated", ran.stdout)[1]) > 100, ran.stdout[-2000:]
    assert live.ask("GET", "/v1/health", token=None).status == 200

"""Logs: what goes wrong again and again is told a few times."""

from __future__ import annotations

import json
import logging

import pytest

from server.common.log import LOGGER, Seldom, configure, note


@pytest.fixture
def quiet() -> None:
    """The loggers as they were."""
    root, handlers, levels = logging.getLogger(), logging.getLogger().handlers[:], (LOGGER.level,)
    level = root.level
    yield
    root.handlers[:], root.level = handlers, level
    LOGGER.setLevel(levels[0])


def record(name: str, message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, message, None, None)


def test_a_warning_is_told_five_times_a_minute_and_then_counted() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    accept = "socket.accept() out of system resource"
    assert [seldom.filter(record("asyncio", accept)) for _ in range(100)] == [True] * 5 + [False] * 95
    assert seldom.filter(record("asyncio", "another")), "other lines are not held up"
    assert seldom.filter(record("aiohttp.server", accept))
    now[0] = 61.0
    again = record("asyncio", accept)
    assert seldom.filter(again) and again.data == {"left_out": 95}


def test_what_is_no_warning_is_told_always() -> None:
    seldom = Seldom()
    assert all(seldom.filter(record("x", "job", logging.INFO)) for _ in range(100))


def test_kinds_of_lines_do_not_pile_up() -> None:
    seldom = Seldom()
    for number in range(10_000):
        seldom.filter(record("x", str(number)))
    assert len(seldom._seen) <= 200


@pytest.mark.usefixtures("quiet")
def test_a_line_says_nothing_of_what_a_library_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.INFO)
    for _ in range(20):
        logging.getLogger("asyncio").error("cannot read /home/me/secret.png")
    note("crowded", logging.WARNING, connections=3)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["library"] * 5 + ["crowded"]
    assert lines[0]["name"] == "asyncio" and lines[5]["connections"] == 3
    assert "secret" not in json.dumps(lines)

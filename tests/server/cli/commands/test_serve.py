"""`clip2protect serve` as a process, and where its options come from."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.cli.main import main
from server.common.network import links_of
from server.service.options import Options, file_of_options, options_of, resolve_options


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a user who has never run it; the networks' cache stays where it is."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in [name for name in os.environ if name.startswith("CLIP2PROTECT_SERVER_")]:
        monkeypatch.delenv(name)
    return tmp_path


def write_options(text: str) -> Path:
    path = file_of_options()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- the process
# ---------------------------------------------------------------------------------------------


class Process:
    """`clip2protect serve` on a free port."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[4]
        )
        self.port = int(re.search(r":(\d+)$", self.process.stdout.readline())[1])
        #: The lines before the first code.
        self.said: list[str] = []
        self.code = self.read_code()

    def read_code(self) -> str:
        """The next pairing code."""
        while not (found := re.search(r"pairing code: (\w+)", line := self.process.stdout.readline())):
            assert line, "it ended"
            self.said.append(line.rstrip("\n"))
        return found[1]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def children(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def process(home: Path) -> Iterator[Process]:
    started = Process("--log-level", "debug")
    yield started
    started.process.kill()
    started.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_reports_what_it_ended(process: Process, number: signal.Signals) -> None:
    kind = "application/json"
    status, paired = process.ask(
        "POST", "/v1/pair", json.dumps({"code": process.code}).encode(), Content_Type=kind
    )
    assert status == 201
    owner = {"Authorization": f"Bearer {paired['token']}", "Content_Type": "image/jpeg"}
    status, job = process.ask(
        "POST", "/v1/jobs", b"a photo that waits until the networks are loaded", **owner
    )
    assert status == 202
    answers: list[tuple[int, Any]] = []
    waiter = threading.Thread(
        target=lambda: answers.append(process.ask("POST", "/v1/protect", b"2", **owner))
    )
    waiter.start()
    while process.ask("GET", "/v1/status", **owner)[1]["waiting"] < 2:
        pass
    children = process.children()
    code, out, err = process.end(number)
    waiter.join()
    assert code == 0 and "2 photos were not finished" in out
    assert answers[0][0] == 503 and answers[0][1]["code"] == "stopping"
    assert children and not any(os.path.exists(f"/proc/{pid}") for pid in children)
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines if line["event"] in ("started", "paired", "stopped")] == [
        "started",
        "paired",
        "stopped",
    ]
    assert {"time", "level", "event"} <= set.intersection(*(set(line) for line in lines))
    assert "/v1/jobs" in {line.get("route") for line in lines}
    for secret in (paired["token"], job["id"], process.code):
        assert secret not in err


def test_each_code_is_shown_when_the_one_before_was_used(process: Process) -> None:
    body = json.dumps({"code": process.code}).encode()
    assert process.ask("POST", "/v1/pair", body, Content_Type="application/json")[0] == 201
    code = process.read_code()
    assert code != process.code
    body = json.dumps({"code": code}).encode()
    assert process.ask("POST", "/v1/pair", body, Content_Type="application/json")[0] == 201


def test_a_port_that_is_taken_is_told_in_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert "cannot listen on 127.0.0.1 port" in error and error.count("\n") == 1


def test_the_extension_is_told_where_the_server_is_if_it_is_elsewhere(process: Process) -> None:
    """At 8765 it looks by itself."""
    assert process.said == [
        f"  give the extension this address in its settings: http://127.0.0.1:{process.port}"
    ]


def test_who_lets_the_network_in_is_told_how_it_is_reached_and_that_it_is_plain(home: Path) -> None:
    process = Process(
        "--host", "0.0.0.0", "--allow-network", "--name", "photos.home", "--name", "other.home:80"
    )
    try:
        said = "\n".join(process.said)
        for link in links_of("0.0.0.0", process.port)[1:]:
            assert f"other machines reach it at {link}" in said
        assert "by the name photos.home" in said and "warning: this is plain HTTP" in said
        for host, status in (
            ("192.168.77.5:{}", 200),
            ("[fe80::1]:{}", 200),
            ("photos.home:{}", 200),
            ("other.home:80", 200),
            ("192.168.77.5:1", 403),
            ("192.168.77.5.evil.com:{}", 403),
            ("evil.home:{}", 403),
        ):
            answer = process.ask("GET", "/v1/health", Host=host.format(process.port))
            assert answer[0] == status, host
            assert status == 200 or "--name" in answer[1]["detail"]
        # A page of another machine is another's, whatever its address.
        own = f"192.168.77.5:{process.port}"
        for origin, status in ((f"http://{own}", 200), (f"http://192.168.77.6:{process.port}", 403)):
            assert process.ask("GET", "/v1/health", Host=own, Origin=origin)[0] == status
    finally:
        process.process.kill()
        process.process.wait()


# --- options
# -------------------------------------------------------------------------------------------------


def test_flags_come_before_the_environment_and_that_before_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_options(
        'port = 1\nworkers = 2\nupload_mb = 3\nnames = ["box"]\njob_seconds = 5\ncache = false\n'
    )
    monkeypatch.setenv("CLIP2PROTECT_SERVER_PORT", "4")
    monkeypatch.setenv("CLIP2PROTECT_SERVER_WORKERS", "5")
    chosen = resolve_options({"port": 6, "workers": None})
    assert {
        name: chosen[name].value for name in ("port", "workers", "upload_mb", "names", "job_seconds", "cache")
    } == {"port": 6, "workers": 5, "upload_mb": 3, "names": ("box",), "job_seconds": 5.0, "cache": False}
    sources = [chosen[name].source for name in ("port", "workers", "upload_mb", "host")]
    assert sources == ["flag", "CLIP2PROTECT_SERVER_WORKERS", str(path), "default"]
    assert options_of(chosen).folder.is_relative_to(home / "XDG_DATA_HOME")
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert str(path) in shown and "CLIP2PROTECT_SERVER_PORT" in shown and re.search(r"upload_mb +3 ", shown)


def test_without_any_the_built_in_ones_hold(home: Path) -> None:
    chosen = options_of(resolve_options({}))
    assert chosen == Options()


@pytest.mark.parametrize(
    "text",
    [
        "port = 70000",
        "port = -1",
        "port = true",
        'workers = "two"',
        "workers = 0",
        "unheard = 1",
        "port =",
        'device = "tpu"',
        "names = [1]",
        "job_seconds = nan",
        "job_seconds = inf",
    ],
)
def test_a_bad_file_is_told_in_one_line(home: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_options(text)
    assert main(["config", "show"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("clip2protect: ") and error.count("\n") == 1
    assert text.split(" ")[0] in error or "server.toml" in error


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "x"), ("CACHE", "maybe"), ("WORKERS", "0"), ("QUEUE_MB", "-1")]
)
def test_a_bad_variable_is_told(
    home: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"CLIP2PROTECT_SERVER_{name}", value)
    assert main(["config", "show"]) == 2
    assert name.lower() in capsys.readouterr().err.lower()

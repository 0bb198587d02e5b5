"""`clip2protect study`: the server behind the page, what it keeps, and what the choices say."""

from __future__ import annotations

import http.client
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engines.errors import ConfigError
from engines.evaluation.study.answers import Choice, score
from engines.evaluation.study.questions import picture, read_trials
from server.cli.main import main
from server.common.private import write_private
from server.study.participants import Participants

ROOT = Path(__file__).parents[3]


def trial(number: int, kind: str, method: str = "balanced") -> dict[str, Any]:
    shown = f"pictures/{number}-shown.png" if kind == "identity" else None
    options = [f"pictures/{number}-a.png", f"pictures/{number}-b.png"]
    answer = number % 2
    return {
        "id": f"secret-{number}",
        "kind": kind,
        "method": method,
        "person": f"p{number:02}",
        "shown": shown,
        "options": options,
        "answer": answer,
    }


def make_report(folder: Path, count: int = 4) -> Path:
    """A report whose pictures differ: the right option is green, the wrong one red."""
    trials = [
        trial(i, ("identity", "retouched")[i // 2 % 2], ("balanced", "strong")[i % 2]) for i in range(count)
    ]
    (folder / "pictures").mkdir(parents=True)
    for one in trials:
        colors = ["green", "red"] if one["answer"] == 0 else ["red", "green"]
        for name, color in zip([*one["options"], one["shown"]], [*colors, "blue"], strict=True):
            if name:
                Image.new("RGB", (48, 64), color).save(folder / name)
    (folder / "study-trials.json").write_text(json.dumps({"trials": trials}))
    return folder


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return make_report(tmp_path / "report")


# --- the process
# ---------------------------------------------------------------------------------------------


class Process:
    """`clip2protect study` on a free port."""

    def __init__(self, report: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "server.cli", "study", str(report), *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)
        link = re.search(r"http://127\.0\.0\.1:(\d+)/#(\S+)", self.process.stdout.readline())
        self.port, self.token = int(link[1]), link[2]

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = "", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Content-Type": "application/json"} if body is not None else {"X-Clip2Protect": "1"}
        sent |= {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def json(self, *arguments: Any, **options: Any) -> Any:
        return json.loads(self.ask(*arguments, **options)[2])

    def join(self) -> str:
        return f"/v1/participants/{self.json('POST', '/v1/participants')['participant']}"

    def choose(self, who: str, number: int, side: int = 0, **more: Any) -> int:
        body = {"number": number, "side": side, "milliseconds": 1234, "familiar": False} | more
        return self.ask("POST", f"{who}/choices", body)[0]

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def process(report: Path) -> Iterator[Process]:
    started = Process(report)
    yield started
    started.process.kill()
    started.process.communicate()


def green(data: bytes, folder: Path) -> bool:
    (folder / "seen.png").write_bytes(data)
    return Image.open(folder / "seen.png").convert("RGB").getpixel((0, 0)) == (0, 128, 0)


def test_choices_are_kept_at_once_and_rightly(process: Process, report: Path, tmp_path: Path) -> None:
    who = process.join()
    expected = []
    for number in range(4):
        state = process.json("GET", who)
        assert state == {"number": number, "total": 4, "kind": state["kind"]}
        status, headers, left = process.ask("GET", f"{who}/pictures/{number}/left")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert process.ask("GET", f"{who}/pictures/{number}/shown")[0] == (
            200 if state["kind"] == "identity" else 404
        )
        side = number % 2
        expected.append(green(left, tmp_path) == (side == 0))
        assert process.choose(who, number, side, familiar=number == 1) == 204
        kept = json.loads((report / "study.json").read_text())
        assert [choice["correct"] for choice in kept] == expected
    assert process.json("GET", who) == {"number": 4, "total": 4, "kind": None}
    trials = {one.id: one for one in read_trials(report)}
    assert {choice["trial"] for choice in kept} == trials.keys()
    for choice in kept:
        assert choice.keys() == {"participant", "trial", "choice", "correct", "milliseconds", "familiar"}
        assert choice["correct"] == (choice["choice"] == trials[choice["trial"]].answer)
        assert choice["milliseconds"] == 1234 and choice["participant"] == who.rpartition("/")[2]
    assert [choice["familiar"] for choice in kept] == [False, True, False, False]
    assert stat.S_IMODE((report / "study.json").stat().st_mode) == 0o600


def test_the_page_learns_nothing_that_tells_the_answer(process: Process) -> None:
    who = process.join()
    told = b"".join(
        bytes(headers) + body
        for _, headers, body in (
            process.ask("GET", who),
            process.ask("GET", f"{who}/pictures/0/left"),
            process.ask(
                "POST", f"{who}/choices", {"number": 0, "side": 1, "milliseconds": 1, "familiar": False}
            ),
            process.ask("GET", who),
            *(process.ask("GET", path) for path in ("/", "/page.js", "/page.css")),
        )
    )
    for secret in (b"secret-", b"balanced", b"p00", b"pictures/0-", b"-a.png", b'"answer"', b'"correct"'):
        assert secret not in told


def test_only_the_next_trial_can_be_answered_and_seen(process: Process, report: Path) -> None:
    who = process.join()
    assert process.choose(who, 1) == 409
    assert process.ask("GET", f"{who}/pictures/1/left")[0] == 404
    assert process.choose(who, 0) == 204
    assert process.choose(who, 0, 1) == 409, "a choice is not taken back"
    assert process.ask("GET", f"{who}/pictures/0/left")[0] == 200
    assert len(json.loads((report / "study.json").read_text())) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 2},
        {"side": None},
        {"number": "0"},
        {"milliseconds": 1e400},
        {"familiar": 1},
        {"number": True},
    ],
)
def test_a_choice_that_is_none_is_refused(wrong: Any, process: Process, report: Path) -> None:
    body = {"number": 0, "side": 0, "milliseconds": 1, "familiar": False} | wrong
    assert process.ask("POST", f"{process.join()}/choices", body)[0] == 400
    assert not (report / "study.json").exists()


def test_nobody_gets_in_without_the_link(process: Process) -> None:
    who = process.join()
    paths = [
        ("POST", "/v1/participants"),
        ("GET", who),
        ("GET", f"{who}/pictures/0/left"),
        ("POST", f"{who}/choices"),
    ]
    for token in (None, "wrong", process.token[:-1], "ü"):
        sent = None if token is None else token.encode().decode("latin-1")
        assert [process.ask(method, path, token=sent)[0] for method, path in paths] == [401] * 4
    assert process.ask("GET", who, Host="evil.example")[0] == 403
    assert process.ask("GET", who, Host=f"evil.example:{process.port}")[0] == 403
    assert process.ask("GET", who, Origin="http://evil.example")[0] == 403
    assert process.ask("GET", who, Sec_Fetch_Site="cross-site")[0] == 403
    assert process.ask("POST", "/v1/participants", token=None, Content_Type="text/plain")[0] == 401
    assert process.ask("GET", who, Host=f"localhost:{process.port}")[0] == 200


def test_nothing_else_is_served(process: Process) -> None:
    who = process.join()
    for path in (
        "/study-trials.json",
        "/pictures/0-a.png",
        "/../study-trials.json",
        f"{who}/pictures/0/..%2f..%2fstudy.json",
        f"{who}/pictures/0/answer",
        f"{who}/pictures/99/left",
        "/v1/participants/nobody",
        "/v1/participants/../..",
        f"{who}/pictures/-1/left",
        "/study.json",
        "/app.py",
        "/page/app.py",
    ):
        assert process.ask("GET", path)[0] == 404, path


def test_every_answer_has_its_headers(process: Process) -> None:
    who = process.join()
    for path in ("/", "/page.js", who, f"{who}/pictures/0/left", "/nothing"):
        headers = process.ask("GET", path)[1]
        assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff" and "Server" not in headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert "<script src" in process.ask("GET", "/")[2].decode()


def test_a_picture_that_becomes_a_link_elsewhere_is_not_served(
    process: Process, report: Path, tmp_path: Path
) -> None:
    who = process.join()
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    for name in (report / "pictures").iterdir():
        name.unlink()
        name.symlink_to(tmp_path / "private.png")
    assert process.ask("GET", f"{who}/pictures/0/left")[0] == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_says_nothing_of_anybody(number: signal.Signals, process: Process) -> None:
    assert process.choose(process.join(), 0) == 204
    process.ask("GET", "/nothing")
    assert process.end(number) == (0, "stopped; every choice is kept\n", "")


def test_it_listens_to_this_machine_alone(process: Process) -> None:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{process.port:04X}")] == [
        f"0100007F:{process.port:04X}"
    ]
    tcp6 = Path("/proc/net/tcp6").read_text() if Path("/proc/net/tcp6").exists() else ""
    assert f":{process.port:04X} " not in tcp6.upper()


def test_there_is_one_study_a_folder(
    process: Process, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", str(report)]) == 2
    assert "another study runs in" in capsys.readouterr().err


# --- the order
# -----------------------------------------------------------------------------------------------


def test_everybody_has_an_order_and_sides_of_their_own_that_stay(tmp_path: Path) -> None:
    session = Participants(make_report(tmp_path / "many", 40))
    people = [session.join() for _ in range(8)]
    orders = [[turn.trial.id for turn in session.turns(who)] for who in people]
    assert len({tuple(order) for order in orders}) == len(people)
    assert all(len(set(order)) == 40 for order in orders)
    sides = [turn.order.index(turn.trial.answer) for who in people for turn in session.turns(who)]
    assert 0.4 < sum(sides) / len(sides) < 0.6
    session.choose(people[0], 0, 1, 10, familiar=False)
    again = Participants(session.folder)
    assert [turn.trial.id for turn in again.turns(people[0])] == orders[0]
    assert again.position(people[0]) == 1


def test_fewer_trials(report: Path) -> None:
    session = Participants(report, 2)
    assert len(session.turns(session.join())) == 2


def test_a_choice_that_cannot_be_written_does_not_count(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Participants(report)
    who = session.join()
    (report / "study.json").mkdir()
    with pytest.raises(Exception, match="that is a folder"):
        session.choose(who, 0, 0, 1, familiar=False)
    assert session.position(who) == 0


# --- files that cannot be used
# -------------------------------------------------------------------------------


def test_what_is_wrong_with_the_trials_is_told_in_one_line(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report / "study-trials.json"
    good = json.loads(path.read_text())["trials"]

    def told(trials: Any) -> str:
        path.write_text(trials if isinstance(trials, str) else json.dumps({"trials": trials}))
        assert main(["study", str(report)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "is damaged" in told("{") and "is damaged" in told("[]") and "has no trials" in told([])
    for change in (
        {"answer": 2},
        {"answer": True},
        {"kind": "other"},
        {"options": ["a"]},
        {"shown": None},
        {"id": 1},
    ):
        assert "is damaged" in told([good[0] | change])
    assert "two of one name" in told([good[0], good[0]])
    for name in ("../outside.png", "pictures/none.png", "/etc/hostname", "study-trials.json", "pictures"):
        assert "is no picture" in told([good[0] | {"shown": name}])
    path.unlink()
    assert main(["study", str(report)]) == 2
    assert "clip2protect evaluate" in capsys.readouterr().err


def test_links_within_the_folder_are_followed_and_others_are_not(report: Path, tmp_path: Path) -> None:
    (report / "inside.png").symlink_to(report / "pictures/0-a.png")
    assert picture(report, "inside.png") == (report / "pictures/0-a.png").resolve()
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.png")
    (report / "outside.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(ConfigError, match="no picture of this report"):
        picture(report, "outside.png")


@pytest.mark.parametrize("content", ["{", '[{"participant": "a"}]', '{"a": 1}', "[1]", "3"])
def test_choices_that_are_damaged_are_not_overwritten(
    content: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report / "study.json"
    path.write_text(content)
    path.chmod(0o600)
    for more in ([], ["--score"]):
        assert main(["study", str(report), *more]) == 2
        assert "is damaged" in capsys.readouterr().err
    assert path.read_text() == content


@pytest.mark.parametrize("arguments", [["--trials", "0"], ["--port", "65536"], ["--port", "-1"]])
def test_options_have_limits(arguments: list[str], report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(report), *arguments]) == 2
    assert f"{arguments[0]} is a number from" in capsys.readouterr().err


# --- the score
# -----------------------------------------------------------------------------------------------


def answer(report: Path, rights: dict[str, list[bool]], familiar: frozenset[str] = frozenset()) -> None:
    """What each participant chose, trial by trial: right or wrong."""
    trials = read_trials(report)
    made = [
        Choice(who, one.id, one.answer if right else 1 - one.answer, right, 900, who in familiar).__dict__
        for who, row in rights.items()
        for one, right in zip(trials, row, strict=False)
    ]
    write_private(report / "study.json", made)


def test_the_score_has_exact_intervals(tmp_path: Path) -> None:
    report = make_report(tmp_path / "report", 4)  # two of each kind, one of each method
    answer(
        report, {"a": [True, True, True, False], "b": [True, False, False, False]}, familiar=frozenset({"b"})
    )
    found = score(report)
    identity = found["identity"]
    assert (identity["value"], identity["n"], identity["people"]) == (0.75, 4, 2)
    # Clopper and Pearson for 3 of 4, and for 2 of 2: 0.025 ** (1 / 2).
    assert (round(identity["low"], 4), round(identity["high"], 4)) == (0.1941, 0.9937)
    assert found["strangers"]["identity"] | {"low": round(found["strangers"]["identity"]["low"], 4)} == {
        "value": 1.0,
        "low": 0.1581,
        "high": 1.0,
        "n": 2,
        "people": 1,
    }
    assert found["retouched"]["value"] == 0.25
    assert found["methods"]["balanced"]["identity"]["value"] == 1.0
    assert found["methods"]["strong"]["identity"]["value"] == 0.5
    mean = found["participants"]["identity"]  # 1 and 0.5: half a width of 12.706 * 0.3536 / sqrt(2)
    assert (mean["value"], mean["low"], mean["high"]) == (0.75, 0.0, 1.0)
    json.dumps(found, allow_nan=False)


def test_the_mean_of_people_has_students_interval(tmp_path: Path) -> None:
    report = make_report(tmp_path / "report", 2)
    answer(report, {f"p{i}": [i % 2 == 0, i % 3 == 0] for i in range(12)})
    mean = score(report)["participants"]["identity"]
    # Shares 1, 0, .5, .5, .5, 0 twice: mean 5 / 12, deviation 0.3589; t of 11 degrees is 2.2010.
    assert [round(mean[key], 3) for key in ("value", "low", "high")] == [0.417, 0.189, 0.645]


def test_nobody_no_score(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(report) is None
    assert main(["study", str(report), "--score"]) == 2
    assert "nobody was asked yet" in capsys.readouterr().err
    answer(report, {"a": [True, True]})
    found = score(report)
    assert found["retouched"] == {"value": None, "low": None, "high": None, "n": 0, "people": 0}
    assert found["participants"]["identity"] == {"value": 1.0, "low": None, "high": None, "n": 2, "people": 1}


def test_the_score_is_told_in_a_table(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(report, {"a": [True, True, True, False], "b": [True, False, False, False]})
    assert main(["study", str(report), "--score"]) == 0
    rows = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["question", "of", "right", "95 % interval", "choices", "people"]
    assert ["who is it", "all choices", "75 %", "19 % to 99 %", "4", "2"] in rows
    assert ["which was changed", "method strong", "0 %", "0 % to 84 %", "2", "2"] in rows


def test_the_page_is_found_as_the_servers_is() -> None:
    assert {"index.html", "page.css", "page.js"} <= {entry.name for entry in files("server.study").iterdir()}
    assert "style=" not in files("server.study").joinpath("index.html").read_text()

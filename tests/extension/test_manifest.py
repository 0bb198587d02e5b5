"""The manifest asks for little, and says why."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.extension.conftest import EXTENSION

MANIFEST = json.loads((EXTENSION / "manifest.json").read_text("utf-8"))
WHY = (EXTENSION / "PERMISSIONS.md").read_text("utf-8")
ASKED = [*MANIFEST["permissions"], *MANIFEST["host_permissions"], *MANIFEST["optional_host_permissions"]]
SCRIPTS = sorted((EXTENSION / "src").rglob("*.js"))


@pytest.mark.parametrize("permission", ASKED)
def test_every_permission_is_explained(permission: str) -> None:
    rows = [
        line for line in WHY.splitlines() if line.startswith("|") and f"`{permission}`" in line.split("|")[1]
    ]
    assert len(rows) == 1
    assert len(rows[0].split("|")[2]) > 40


def test_nothing_is_explained_that_is_not_asked_for() -> None:
    rows = [line.split("|")[1] for line in WHY.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(ASKED)


def test_only_this_machine_is_granted_before_a_site_is_turned_on() -> None:
    assert MANIFEST["host_permissions"] == ["http://127.0.0.1/*", "http://localhost/*"]
    assert "content_scripts" not in MANIFEST and "externally_connectable" not in MANIFEST


def test_pages_may_show_the_dialog_and_no_other_file() -> None:
    assert [entry["resources"] for entry in MANIFEST["web_accessible_resources"]] == [
        ["src/dialog/dialog.html"]
    ]


def test_nothing_is_loaded_from_elsewhere() -> None:
    policy = MANIFEST["content_security_policy"]["extension_pages"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    hosts = set(re.findall(r"https?://[^\s;]+", policy))
    assert hosts == {"http://127.0.0.1:*", "http://localhost:*"}


@pytest.mark.parametrize("name", ["hook.js"])
def test_what_runs_among_a_pages_scripts_knows_nothing(name: str) -> None:
    text = (EXTENSION / "src/content" / name).read_text("utf-8")
    text = text.replace("navigator.storage", "")  # the page's own files
    for word in ("token", "127.0.0.1", "localhost", "chrome.", "runtime", "storage"):
        code = "\n".join(
            line for line in text.splitlines() if not line.lstrip().startswith(("//", "*", "/*"))
        )
        assert word not in code


def test_lines_are_short() -> None:
    long = [
        f"{path.name}:{i}"
        for path in SCRIPTS
        for i, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > 110
    ]
    assert long == []


def pack(folder: Path) -> dict[str, Path]:
    subprocess.run(["node", EXTENSION / "scripts/pack.js", folder], check=True, capture_output=True)
    return {path.stem.rpartition("-")[2]: path for path in folder.iterdir()}


def test_the_zips_for_the_stores(tmp_path: Path) -> None:
    first, second = pack(tmp_path / "1"), pack(tmp_path / "2")
    assert sorted(first) == ["chromium", "firefox"]
    shipped = {
        path.relative_to(EXTENSION).as_posix()
        for part in ("src", "_locales", "icons")
        for path in (EXTENSION / part).rglob("*")
        if path.is_file() and not path.name.endswith(".d.ts")
    }
    for browser, path in first.items():
        assert path.read_bytes() == second[browser].read_bytes()
        with ZipFile(path) as packed:
            assert packed.testzip() is None
            assert {*packed.namelist()} == {"manifest.json", *shipped}
            assert all(packed.read(name) == (EXTENSION / name).read_bytes() for name in shipped)
            manifest = json.loads(packed.read("manifest.json"))
        only = {"chromium": "service_worker", "firefox": "scripts"}[browser]
        assert sorted(manifest["background"]) == sorted([only, "type"])
        assert ("browser_specific_settings" in manifest) == (browser == "firefox")
        assert ("minimum_chrome_version" in manifest) == (browser == "chromium")
        for key in ("permissions", "host_permissions", "content_security_policy", "web_accessible_resources"):
            assert manifest[key] == MANIFEST[key]

"""The version is that of the package, or the program says that there is none."""

from __future__ import annotations

import importlib.metadata

import pytest

from engines.version import installed_version


def test_the_version_is_that_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", {"clip2protect": "1.2.3"}.__getitem__)
    assert installed_version() == "1.2.3"


def test_a_bare_checkout_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert installed_version() == "(not installed)"

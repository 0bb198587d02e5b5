"""The registry of networks."""

from __future__ import annotations

import re

import pytest

from engines.errors import ConfigError
from engines.models import registry
from engines.models.registry import Url


@pytest.mark.parametrize("name", list(registry.SPECS))
def test_every_spec_is_whole(name: str) -> None:
    spec = registry.get_spec(name)
    assert spec.name == name
    assert spec.licence and spec.trained_on and spec.description
    hashes = [member.sha256 for member in spec.members]
    if not isinstance(spec.source, Url):
        hashes.append(spec.source.archive_sha256)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    assert len({member.name for member in spec.members}) == len(spec.members) > 0
    if spec.role == "recogniser":
        assert spec.threshold and spec.preprocessing and spec.preprocessing.alignment


def test_hashes_are_not_copied_between_members() -> None:
    hashes = [member.sha256 for spec in registry.SPECS.values() for member in spec.members]
    assert len(set(hashes)) == len(hashes)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="mobilestylegan"):
        registry.get_spec("nope")

"""Prompts are cleaned, and presets are looked up by name."""

from __future__ import annotations

import pytest

from engines.config import Settings
from engines.errors import ConfigError
from engines.makeup.presets import CANDIDATES, LONGEST, PRESETS, resolve


def test_prompts_are_cleaned_and_names_are_looked_up() -> None:
    assert resolve("  red \n lipstick ") == "red lipstick"
    assert resolve("Smoky") == PRESETS["smoky"]
    assert set(CANDIDATES) <= set(PRESETS)
    assert Settings().prompt in PRESETS


@pytest.mark.parametrize("text", ["", "   ", "💄💋", "?!...", "\u200b"])
def test_a_prompt_without_words_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no words"):
        resolve(text)


def test_a_prompt_may_not_be_endless() -> None:
    assert resolve("a" * LONGEST) == "a" * LONGEST
    with pytest.raises(ConfigError, match=f"{LONGEST + 1} characters"):
        resolve("a" * (LONGEST + 1))

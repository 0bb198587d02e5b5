"""Prompts in words: presets, and the check of a prompt."""

from __future__ import annotations

import unicodedata

from engines.config import NO_PROMPT
from engines.errors import ConfigError

#: Name -> prompt.  The names may be given in place of a prompt.
PRESETS: dict[str, str] = {
    "natural": "a natural look",
    "evening": "evening makeup",
    "smoky": "dark smoky eyes",
    "bridal": "bridal makeup",
    "goth": "goth makeup",
    "vampire": "vampire makeup",
    "disco": "70s disco makeup",
    "summer": "summer makeup",
    "red-lips": "red lipstick",
    "nude-lips": "nude lipstick",
    "purple-lids": "purple eyeshadow",
    "pink-cheeks": "pink blush",
    "tan": "tanned skin",
}
#: What `auto` tries.
CANDIDATES = ("natural", "red-lips", "smoky", "pink-cheeks", "evening")
#: Sentences whose mean stands for a prompt (the paper: an ensemble of templates).
TEMPLATES = ("{}", "a face with {}", "a photo of a face with {}", "a portrait with {}")
#: Longest prompt, in characters: more than any look needs.
LONGEST = 300


def resolve(prompt: str) -> str:
    """The prompt behind a preset's name, or the prompt itself, cleaned of odd space.

    Raises ConfigError, in one line that says what to do, where no words are left or too many.
    """
    text = " ".join(prompt.split())
    text = PRESETS.get(text.lower(), text)
    if len(text) > LONGEST:
        raise ConfigError(f"the prompt has {len(text)} characters: say it in {LONGEST} or fewer")
    if not any(unicodedata.category(c).startswith(("L", "N")) for c in text):
        raise ConfigError(
            f"the prompt has no words: describe the makeup, as in 'red lipstick', or give '{NO_PROMPT}'"
        )
    return text

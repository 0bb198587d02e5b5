"""The texts in both languages: all are there, and all are used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from engines import config
from server.common.problems import CODES
from tests.extension.conftest import EXTENSION

from .conftest import words

SOURCES = {p: p.read_text("utf-8") for p in (EXTENSION / "src").rglob("*") if p.suffix in (".js", ".html")}
MANIFEST = EXTENSION / "manifest.json"
#: Keys that are put together: what comes before the part that varies -> all that may come.
VARIED = {
    "level_": set(get_args(config.Level)),
    "faces_": set(get_args(config.Faces)),
    "short_": {*get_args(config.Level), *get_args(config.Faces)},
    "kind_": {"any", "one", "several", "more"},
    "rule_": {"ask", "always", "never"},
    "state_": {"looking", "ready", "unpaired", "down", "barred"},
    "advice_": {"ready", "unpaired", "down", "barred"},
    "stage_": {"invert", "tune", "choose", "search", "render"},
    "trouble_": None,  # codes of the server and our own; any other code has the server's words
}


def used_keys() -> Iterator[tuple[str, Path]]:
    """Keys that are written out in the code."""
    for path, text in SOURCES.items():
        found = re.findall(r'data-(?:say|label)="(\w+)"', text)
        found += re.findall(r"\bwords\('(\w+)'", text)  # of scripts in pages
        for call in re.findall(r"\bsay\(((?:[^()]|\([^()]*\))*)\)", text):
            # In a choice between two keys, what is compared is no key.
            found += re.findall(r"'(\w+)'", re.sub(r"[!=]==? '[^']*'", "", call.split(", ")[0]))
        yield from ((key, path) for key in found)
    yield from ((key, MANIFEST) for key in re.findall(r"__MSG_(\w+)__", MANIFEST.read_text("utf-8")))


def test_both_languages_have_the_same_words() -> None:
    english, german = words("en"), words("de")
    assert list(english) == list(german)
    for key, entry in english.items():
        assert entry.get("placeholders") == german[key].get("placeholders"), key
        for text in (entry["message"], german[key]["message"]):
            assert set(re.findall(r"\$(\w+)\$", text.lower())) == set(entry.get("placeholders", {})), key
            assert text.strip() == text != "", key


def test_german_is_german() -> None:
    english, german = words("en"), words("de")
    same = {key for key in english if english[key]["message"] == german[key]["message"]}
    assert same <= {"name", "look", "server_title"}, "not translated"


def test_every_word_that_is_used_exists() -> None:
    used = list(used_keys())
    assert len(used) > 100
    assert [(key, path) for key, path in used if key not in words("en")] == []


def test_every_word_that_exists_is_used() -> None:
    code = "\n".join(SOURCES.values())
    used = {key for key, _ in used_keys()} | set(re.findall(r"'(\w+)'", code))
    for prefix, kinds in VARIED.items():
        assert f"(`{prefix}${{" in code, f"nothing uses {prefix}"
        thrown = {*CODES, *re.findall(r"code: '(\w+)'", code)}
        used |= {prefix + kind for kind in (thrown if kinds is None else kinds)}
    assert set(words("en")) - used == set()


def test_every_word_that_is_put_together_exists() -> None:
    assert {prefix + kind for prefix, kinds in VARIED.items() for kind in kinds or ()} - set(
        words("en")
    ) == set()

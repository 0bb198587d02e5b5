"""Settings: what is refused, and that they come back from JSON as they were."""

from __future__ import annotations

import json

import pytest

from engines.config import AUTO_SEEDS, STEPS, TUNING_STEPS, Settings, Target
from engines.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seeds"), [("synthetic", (0,)), ("synthetic:12", (12,)), ("auto", AUTO_SEEDS)]
)
def test_a_target_in_words(text: str, seeds: tuple[int, ...]) -> None:
    target = Target.parse(text)
    assert (target.seeds, target.photo) == (seeds, None)
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize("text", ["synthetic:x", "synthetic:", "synthetic:-1", "somebody", ""])
def test_another_word_is_no_target(text: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        Target.parse(text)


def test_the_bytes_of_a_target_are_never_shown() -> None:
    settings = Settings(target=Target(photo=b"private"))
    assert str(settings.target) == "photo"
    assert "private" not in f"{settings!r} {json.dumps(settings.as_options())}"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(target=Target(seeds=(7,)), level="strong", seed=3, steps=5, prompt="none"),
        Settings(target=Target(seeds=AUTO_SEEDS), surrogates=("dlib-resnet29",), without=("freezing",)),
        Settings(render="generator", tuning_steps=0, faces="mine"),
    ],
)
def test_settings_travel_as_json(settings: Settings) -> None:
    options = json.loads(json.dumps(settings.as_options()))
    copy = Settings.from_options(options)
    assert copy.as_options() == settings.as_options()
    assert (copy.mode, copy.tuning, copy.target) == (settings.mode, settings.tuning, settings.target)


def test_few_options_are_enough() -> None:
    assert Settings.from_options({}) == Settings()
    assert Settings.from_options({"mode": "impersonate"}).target == Target()
    assert Settings.from_options({"mode": "impersonate", "target": 9}).target == Target(seeds=(9,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "hide"}, "unknown mode 'hide': choose one of dodge, impersonate"),
        ({"target": "synthetic:1"}, "target needs mode=impersonate"),
        ({"mode": "impersonate", "target": "photo"}, "whole number"),
        ({"level": "loud"}, "unknown level 'loud': choose one of subtle, balanced, strong"),
        ({"faces": "none"}, "unknown faces"),
        ({"render": "oil"}, "unknown render"),
        ({"surrogates": []}, "at least one surrogate"),
        ({"without": ["magic"]}, "unknown part 'magic'"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"tuning_steps": -1}, "tuning steps must be 0 or more"),
    ],
)
def test_an_unknown_value_is_refused_with_the_known_ones(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.from_options(options)


def test_steps_and_tuning_are_decided_once() -> None:
    assert Settings().steps == STEPS
    assert Settings().tuning == 0
    assert Settings(render="generator").tuning == TUNING_STEPS
    assert Settings(render="generator", tuning_steps=3).tuning == 3

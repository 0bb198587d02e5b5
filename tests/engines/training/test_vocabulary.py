"""Captions: words that are trained on, words that are held out."""

from __future__ import annotations

import random

from engines.training.vocabulary import LOOKS, Layer, caption, phrase, small_talk
from engines.training.words import COLOURS, EFFECTS


def all_words(*, held_out: bool) -> set[str]:
    """Every wording and colour's name that captions are made of."""
    colours = (c.held_out if held_out else c.names for c in COLOURS.values())
    effects = (e.held_out if held_out else (*e.names, *e.usual[1]) for e in EFFECTS.values())
    looks = (words[2 if held_out else 1] for words in LOOKS.values())
    return {word for words in (*colours, *effects, *looks) for word in words}


def test_held_out_words_are_never_trained_on() -> None:
    assert all_words(held_out=True) & all_words(held_out=False) <= {"tan"}
    chance = random.Random(0)
    trained = {caption(chance).text for _ in range(3000)}
    for colour in COLOURS.values():
        for name in set(colour.held_out) - {"tan"}:
            assert not any(name in text for text in trained), name


def test_captions_say_what_is_painted() -> None:
    chance = random.Random(1)
    for parts in (1, 2, 3):
        for held_out in (False, True):
            for _ in range(200):
                said = caption(chance, parts=parts, held_out=held_out)
                assert len(said.look.layers) + said.look.freckles == parts
                places = [EFFECTS[layer.effect].region for layer in said.look.layers]
                assert len(set(places)) == len(places)
                assert "{" not in said.text
    assert caption(chance, parts=0).look.key == frozenset()
    assert caption(random.Random(5)) == caption(random.Random(5))


def test_a_phrase_names_its_colour() -> None:
    chance = random.Random(2)
    for _ in range(100):
        words = phrase(chance, Layer("lipstick", "teal"))
        assert any(name in words for name in COLOURS["teal"].names)
    assert any(phrase(chance, Layer("lipstick", "red")) == "lipstick" for _ in range(100))


def test_small_talk_is_no_makeup() -> None:
    assert not any(
        word in talk.split()
        for talk in small_talk()
        for word in ("lipstick", "lips", "blush", "makeup", "eyeshadow")
    )

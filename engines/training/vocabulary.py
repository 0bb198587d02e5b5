"""Looks, and random captions that describe them in the words of `engines.training.words`.

The painter paints a `Look`.  Two captions have the same meaning if their looks have the same `key`.  Held-out
captions have wordings that are never trained on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.training.words import COLOURS, EFFECTS, FRECKLES, NO_MAKEUP


@dataclass(frozen=True)
class Layer:
    """One effect of a look in one colour."""

    effect: str
    colour: str


@dataclass(frozen=True)
class Look:
    """The makeup on a face: layers, and whether it has freckles."""

    layers: tuple[Layer, ...] = ()
    freckles: bool = False
    #: Factor on every opacity.
    strength: float = field(default=1.0, compare=False)

    @property
    def key(self) -> frozenset[str]:
        """The visible parts.  Two captions with the same key have the same meaning."""
        parts = {f"{layer.colour} {layer.effect}" for layer in self.layers}
        return frozenset(parts | {"freckles"} if self.freckles else parts)


def _look(*layers: str, strength: float = 1.0) -> Look:
    return Look(
        tuple(Layer(effect, colour) for colour, effect in (s.split() for s in layers)), strength=strength
    )


#: Whole looks: the look, wordings for training, wordings held out.
LOOKS: dict[str, tuple[Look, tuple[str, ...], tuple[str, ...]]] = {
    "smoky": (
        _look("black eyeshadow", "black eyeliner"),
        ("smoky eyes", "dark smoky eyes", "smokey eye makeup", "a smoky eye", "black smokey eyes",
         "dramatic dark eyes", "smudged dark eye makeup", "heavy black eye makeup", "smoldering eyes"),
        ("sultry dark eyes", "smoked-out eyes"),
    ),
    "evening": (
        _look("red lipstick", "black eyeshadow", "black eyeliner", "white highlight"),
        ("evening makeup", "a glamorous evening look", "night out makeup", "glamour makeup", "a party look",
         "makeup for a night out", "hollywood glamour makeup", "red carpet makeup", "an evening look"),
        ("makeup for a gala evening",),
    ),
    "goth": (
        _look("black lipstick", "black eyeshadow", "black eyeliner", "white pale"),
        ("goth makeup", "a gothic look", "dark gothic makeup", "a goth look", "gothic makeup",
         "emo goth makeup", "black and white gothic face"), ("goth style",),
    ),
    "clown": (
        _look("red lipstick", "red blush", "blue eyeshadow", "white pale"),
        ("clown makeup", "a circus clown face", "painted like a clown", "a clown", "a funny clown look",
         "circus makeup"), ("a clown's face paint",),
    ),
    "natural": (
        _look("nude lipstick", "pink blush", "brown eyeshadow", strength=0.65),
        ("natural makeup", "a natural look", "light everyday makeup", "a natural look, a bit of blush",
         "a no-makeup makeup look", "light natural makeup", "discreet makeup", "simple everyday makeup",
         "a fresh natural face with light makeup", "minimal makeup"),
        ("subtle day makeup",),
    ),
    "disco": (
        _look("magenta lipstick", "blue eyeshadow", "magenta blush"),
        ("70s disco makeup", "a disco look", "colourful seventies makeup", "seventies disco",
         "a disco queen look", "1970s makeup"), ("disco era makeup",),
    ),
    "bridal": (
        _look("pink lipstick", "gold eyeshadow", "pink blush", "white highlight", strength=0.8),
        ("bridal makeup", "a soft wedding look", "makeup of a bride", "bride makeup",
         "a romantic bridal look", "makeup for a wedding"), ("wedding day makeup",),
    ),
    "vampire": (
        _look("burgundy lipstick", "burgundy eyeshadow", "white pale"),
        ("vampire makeup", "a vampire look", "a vampire", "dracula makeup", "vampire costume makeup",
         "a blood sucking vampire's face"), ("made up as a vampire",),
    ),
    "summer": (
        _look("coral lipstick", "gold eyeshadow", "tan tan"),
        ("summer makeup", "a sunny beach look", "beach makeup", "a summer look", "sun-kissed summer makeup",
         "summer vacation makeup"), ("holiday beach makeup",),
    ),
}  # fmt: skip

_STRENGTHS = (
    ("", 1.0),
    ("", 1.0),
    ("", 1.0),
    ("soft ", 0.8),
    ("subtle ", 0.75),
    ("bold ", 1.1),
    ("intense ", 1.1),
)
_TEMPLATES = ("{x}", "{x}", "a face with {x}", "a photo of a face with {x}", "a person wearing {x}",
              "a woman with {x}", "a man with {x}", "a portrait with {x}", "a close-up of a face with {x}",
              "makeup: {x}")  # fmt: skip
_TEMPLATES_HELD_OUT = ("{x}", "a selfie with {x}", "someone who has {x}")
#: How often a wording leaves the usual colour out.
_PLAIN = 0.4
_JOINS = (", ", " and ", " with ", " plus ")


@dataclass(frozen=True)
class Caption:
    """A sentence and the look that it describes."""

    text: str
    look: Look


def caption(chance: random.Random, *, parts: int | None = None, held_out: bool = False) -> Caption:
    """A random caption for a look of `parts` parts (None: any number), in held-out words or trained ones."""
    if parts is None:
        parts = chance.choices((0, 1, 2, 3, -1), (3, 50, 22, 8, 17))[0]
    if parts == 0:
        return Caption(_word(chance, NO_MAKEUP, held_out), Look())
    if parts < 0:
        look, names, names_held_out = LOOKS[chance.choice(tuple(LOOKS))]
        return Caption(_wrap(chance, _word(chance, (names, names_held_out), held_out), held_out), look)
    prefix, strength = chance.choice(_STRENGTHS) if parts == 1 else ("", 1.0)
    layers: list[Layer] = []
    words: list[str] = []
    freckles = chance.random() < 0.04
    if freckles:
        words.append(_word(chance, FRECKLES, held_out))
    taken = {"skin"} if freckles else set()
    while len(words) < parts:
        name = chance.choice(tuple(EFFECTS))
        effect = EFFECTS[name]
        if effect.region in taken or (
            effect.region != "lips" and len(effect.colours) == 1 and chance.random() < 0.5
        ):
            continue
        taken.add(effect.region)
        layer = Layer(name, chance.choice(effect.colours))
        layers.append(layer)
        words.append(phrase(chance, layer, held_out))
    chance.shuffle(words)
    text = words[0] if parts == 1 else ", ".join(words[:-1]) + chance.choice(_JOINS) + words[-1]
    if prefix and not freckles and not text.startswith(("a ", "lips", "eye", "cheeks")):
        text = prefix + text
    return Caption(_wrap(chance, text, held_out), Look(tuple(layers), freckles, strength))


def phrase(chance: random.Random, layer: Layer, held_out: bool = False) -> str:
    """A wording of one layer.  In a held-out one, the wording, the colour's name, or both are held out."""
    effect, colour = EFFECTS[layer.effect], COLOURS[layer.colour]
    if len(effect.colours) == 1:
        return chance.choice(effect.held_out if held_out else effect.names)
    usual, plain = effect.usual
    if layer.colour == usual and not held_out and chance.random() < _PLAIN:
        return chance.choice(plain)
    held_out_part = chance.choice(("words", "colour", "both")) if held_out else "none"
    wording = chance.choice(effect.held_out if held_out_part in ("words", "both") else effect.names)
    name = chance.choice(colour.held_out if held_out_part in ("colour", "both") else colour.names)
    return wording.format(c=name)


def _word(chance: random.Random, words: Sequence[tuple[str, ...]], held_out: bool) -> str:
    return chance.choice(words[1] if held_out else words[0])


def _wrap(chance: random.Random, text: str, held_out: bool) -> str:
    return chance.choice(_TEMPLATES_HELD_OUT if held_out else _TEMPLATES).format(x=text)


_THINGS = (
    "car", "sky", "dress", "wall", "shirt", "flower", "balloon", "house", "cup", "dog", "cat", "hat", "door",
    "bird", "pair of shoes", "pen", "bag", "chair", "scarf", "background", "t-shirt", "jacket", "necklace",
    "light", "tie",
)  # fmt: skip
#: Sentences that people might type into a prompt and that describe no makeup.
_TALK = (
    "happy birthday", "a dog on the beach", "the quarterly report", "hello world", "asdf qwerty",
    "one two three", "a plate of pasta", "stock prices fell on Monday", "make it beautiful",
    "a mountain lake in autumn", "please protect my photo", "lorem ipsum dolor sit amet",
    "the capital of France", "a fast train", "", "12345", "?!", "my holiday in Spain", "sunglasses",
    "a wooden table", "blond hair", "a long beard", "a blue hat", "hello there", "hey", "hi", "good night",
    "good evening", "how are you", "thanks", "yes", "no", "ok", "please", "test", "testing", "a kitten",
    "two cats", "a black cat", "a puppy", "a horse", "an elephant", "a tiger", "a fish", "a tree", "a forest",
    "the sea", "a river", "the moon", "the sun", "rain", "snow", "a cloud", "a city street", "a bridge",
    "a castle", "a kitchen", "an office", "a computer", "a phone", "a book", "a guitar", "a piano",
    "football", "a bicycle", "an aeroplane", "a boat", "coffee", "a cup of tea", "an apple", "a banana",
    "bread and butter", "a birthday cake", "ice cream", "a glass of wine", "a bottle of water",
    "a green salad", "music", "love", "peace", "freedom", "money", "time", "work", "school", "a teacher",
    "a doctor", "my mother", "a friend of mine", "a child", "a group of people", "a crowd", "a man",
    "a woman", "a person", "someone", "me", "myself", "a smile", "a laughing person", "an angry man",
    "a sad woman", "closed eyes", "blue eyes", "green eyes", "brown eyes", "a big nose", "white teeth",
    "long hair", "short black hair", "curly hair", "red hair", "gray hair", "a moustache", "glasses",
    "earrings", "a ring", "a hat", "a helmet", "a mask", "wrinkles", "an old man", "a young woman", "a baby",
    "a picture", "a selfie on the beach", "a black and white photograph", "a painting", "a cartoon",
    "an anime character", "a robot", "an alien", "a zombie", "make me look younger", "make me slimmer",
    "change my face", "remove the background", "make it sharper", "protect me", "hide my face",
    "nobody should recognise me", "privacy", "delete everything", "what is this", "where are you from",
    "I do not know", "something nice", "surprise me", "anything", "default", "nothing special", "password",
    "admin", "select all from users", "http www example com", "foo bar", "abc", "xyz", "qwertz", "aaaa", "42",
    "3.14", "two plus two", "the year 2024", "Monday", "January", "summer holidays", "winter", "spring rain",
    "guten Tag", "bonjour tout le monde", "hola amigo", "buenos dias", "ciao bella", "bom dia", "merci",
    "danke", "a bright day", "a dark room", "a clean window", "a thin line", "a fine drawing",
    "a cheeky monkey", "the highlight of the week", "a road under construction", "the contour of a mountain",
    "a highlighter pen on paper", "lip reading", "eye test", "an eyewitness", "the blink of an eye",
    "skin and bones", "a leather skin sofa",
)  # fmt: skip


def small_talk() -> list[str]:
    """Sentences without makeup, some of them with colours."""
    coloured = [f"a {colour.names[0]} {thing}" for colour in COLOURS.values() for thing in _THINGS]
    return [*_TALK, *coloured]

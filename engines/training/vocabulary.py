"""Words of makeup and what they look like: colours, parts, looks, and captions made of them.

Every entry has wordings that are trained on and wordings that are held out, which nothing but the
evaluation sees.  A `Look` is what the painter paints; its `key` is what captions are told apart by.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.palette import colours_of
from engines.regions import Region


@dataclass(frozen=True)
class Colour:
    """The names of one colour of the palette."""

    names: tuple[str, ...]
    held_out: tuple[str, ...]


def _colour(names: str, held_out: str) -> Colour:
    return Colour(tuple(names.split(", ")), tuple(held_out.split(", ")))


#: Names that are trained on, the commonest twice; names held out.
COLOURS: dict[str, Colour] = {
    "red": _colour(
        "red, red, ruby, ruby red, cherry red, bright red, fire red, blood red, true red, classic red, poppy red, "
        "vermilion, carmine, strawberry red, tomato red, apple red, cardinal red, lava red, rose red, brick red, hot "
        "red, lipstick red, lobster red, chili red, signal red, vivid red, rich red, medium red, pillar box red, "
        "christmas red, blood, ruby coloured, warm red, cool red, red as blood, reddish",
        "crimson, scarlet",
    ),
    "burgundy": _colour(
        "burgundy, burgundy, dark red, deep red, wine red, wine, plum, oxblood, mahogany red, merlot, deep cherry, "
        "claret, blackberry, garnet, mulberry, black cherry, dark wine, very dark red, red wine, brownish red, dark "
        "brownish red, deep brownish red, dark cherry, cabernet, deep plum, dark berry, cranberry, brown red, port "
        "wine, beetroot, blackened red",
        "maroon, bordeaux red",
    ),
    "pink": _colour(
        "pink, pink, rose pink, light pink, bubblegum pink, pale pink, soft pink, rose, candy pink, ballet pink, "
        "flamingo pink, carnation pink, petal pink, cotton candy pink, rose coloured, dusty rose, powder pink, "
        "pastel pink, sweet pink, light rose, sakura pink, cherry blossom pink, pinkish, tender pink, marshmallow "
        "pink, pale rose, dusky pink, faint pink, flower pink",
        "baby pink, rosy",
    ),
    "magenta": _colour(
        "hot pink, hot pink, magenta, neon pink, vivid pink, barbie pink, raspberry pink, bright pink, raspberry, "
        "cerise, intense pink, orchid pink, loud pink, fluorescent pink, deep pink, pinkish purple, purplish pink, "
        "dark pink, strong pink, peony pink, azalea pink, electric pink, flashy pink, reddish purple, saturated "
        "pink, magenta pink, bright magenta, dragon fruit pink",
        "fuchsia, shocking pink",
    ),
    "coral": _colour(
        "coral, coral, salmon, warm coral, salmon pink, coral red, living coral, shrimp pink, melon, pinkish orange, "
        "papaya, grapefruit, watermelon, coral pink, orange pink, light red orange, pinkish red orange, soft coral, "
        "bright coral, reddish orange, tropical coral",
        "salmon coral",
    ),
    "orange": _colour(
        "orange, orange, tangerine, bright orange, mandarin orange, carrot orange, amber orange, neon orange, "
        "clementine, burnt orange, apricot orange, flame orange, sunset orange, vivid orange, deep orange, orange "
        "juice, fluorescent orange, marigold orange, rust orange, tiger orange, light orange, copper orange, "
        "yellowish orange",
        "pumpkin orange",
    ),
    "nude": _colour(
        "nude, nude, beige, peach, apricot, natural nude, skin coloured, sand coloured, light beige, nude beige, "
        "peach coloured, soft peach, cream beige, flesh coloured, pale apricot, warm nude, neutral, champagne beige, "
        "light peach, tan beige, natural beige, barely there nude, soft beige, pale nude, biscuit, light sand, "
        "oatmeal, buff, pinkish beige",
        "peachy, neutral beige",
    ),
    "brown": _colour(
        "brown, brown, chocolate brown, chocolate, coffee brown, bronze, chestnut, hazel brown, espresso brown, dark "
        "brown, earth brown, cinnamon brown, caramel brown, walnut, nut brown, umber, hot chocolate brown, toffee "
        "brown, latte brown, sepia, brownish, medium brown, wood brown, tobacco brown, coffee, deep brown, leather "
        "brown, russet brown, brown sugar, chestnut brown, auburn brown",
        "cocoa, mocha brown",
    ),
    "gold": _colour(
        "gold, gold, golden, metallic gold, shiny gold, honey gold, gold coloured, antique gold, gold glitter, gold "
        "leaf, brassy gold, champagne gold, rich gold, gold plated, pure gold, gold foil, glittering gold, yellow "
        "gold, gold dust, sparkling gold, old gold, goldish, bright gold, gold painted, bullion gold",
        "gilded",
    ),
    "yellow": _colour(
        "yellow, yellow, lemon yellow, bright yellow, lemon, sunflower yellow, banana yellow, neon yellow, sunny "
        "yellow, buttercup yellow, corn yellow, pale yellow, daffodil yellow, golden yellow lemon, vivid yellow, "
        "yellowish, mustard yellow, light yellow, fluorescent yellow, egg yolk yellow, mellow yellow, yellow as the "
        "sun",
        "canary yellow",
    ),
    "green": _colour(
        "green, green, emerald green, emerald, forest green, leaf green, moss green, bottle green, apple green, lime "
        "green, bright green, dark green, olive green, pine green, fern green, neon green, malachite green, shamrock "
        "green, deep green, medium green, greenish, kelly green, avocado green, spring green, mint green, jungle "
        "green, clover green, parrot green, light green, vivid green",
        "jade green, grass green",
    ),
    "teal": _colour(
        "teal, teal, turquoise, aqua, aquamarine, blue green, peacock, lagoon, sea green, ocean teal, greenish blue, "
        "bluish green, bright turquoise, petrol, aqua blue, turquoise blue, tropical sea blue, light blue green, "
        "bright aqua, teal blue, teal green, bright blue green, swimming pool blue, caribbean blue, verdigris, "
        "aquatic blue green, light turquoise, dark turquoise",
        "cyan",
    ),
    "blue": _colour(
        "blue, blue, cobalt blue, royal blue, sapphire, sapphire blue, bright blue, ultramarine, sky blue, denim "
        "blue, cornflower blue, ocean blue, vivid blue, lapis blue, medium blue, neon blue, cobalt, true blue, clear "
        "blue, light blue, bluish, strong blue, lively blue, bright sky blue, summer sky blue, bluebell blue, "
        "intense blue, blue as the sky, primary blue",
        "azure blue, electric blue",
    ),
    "navy": _colour(
        "navy, navy, dark blue, midnight blue, deep blue, very dark blue, night blue, marine navy, ink blue, deep "
        "sea blue, blackish blue, deep indigo, dark navy, indigo blue, midnight navy, dark ink blue, almost black "
        "blue, very deep blue, ink coloured blue, dark sapphire, deep ocean blue, sailor blue, uniform blue, dark "
        "midnight blue",
        "navy blue",
    ),
    "purple": _colour(
        "purple, purple, violet, amethyst purple, amethyst, deep purple, royal purple, bright purple, dark violet, "
        "aubergine purple, ultra violet, purplish, vivid violet, eggplant purple, medium purple, strong purple, "
        "purple violet, vivid purple, majestic purple, imperial purple, dark purple, bluish purple, purple like "
        "grapes, deep violet, intense purple",
        "grape purple",
    ),
    "lavender": _colour(
        "lavender, lavender, lilac, pale purple, light purple, mauve, soft lilac, light violet, wisteria, pale "
        "violet, periwinkle, lavender coloured, soft purple, pale lilac, light lavender, pale mauve, whitish purple, "
        "faint purple, light mauve, pastel violet, pastel lilac, light amethyst, lilac grey, powdery purple, "
        "delicate lilac",
        "pastel purple",
    ),
    "black": _colour(
        "black, black, jet black, pitch black, coal black, raven black, onyx, deep black, obsidian, charcoal black, "
        "midnight black, black as night, soot black, pure black, onyx black, very black, dark black, tar black, "
        "licorice black, blackest black, shiny black, matte black, black like coal, ink, black ink, blackish, "
        "darkest black, black lacquer",
        "ebony, inky black",
    ),
    "white": _colour(
        "white, white, pure white, snow white, bright white, milk white, ivory white, pearl white, paper white, "
        "snowy, cloud white, cream white, white as snow, frosty white, brilliant white, whitish, clean white, whiter "
        "than white, matte white, opaque white, marble white, eggshell white, white paint, titanium white, bone "
        "white",
        "chalk white",
    ),
    "silver": _colour(
        "silver, silver, gray, grey, metallic silver, silvery, light gray, ash gray, platinum, pewter, chrome, slate "
        "gray, stone gray, metal gray, iron gray, cool grey, gunmetal grey, shiny silver, grayish, medium gray, dull "
        "gray, silver metal, cold gray, mouse gray, aluminium, cloudy gray, steely, pale gray, silver grey, metallic "
        "gray",
        "steel gray",
    ),
    "tan": _colour("tan", "tan"),
}


@dataclass(frozen=True)
class Effect:
    """One thing that is painted: where, how densely (least and most), in which colours, and its wordings."""

    region: Region
    opacity: tuple[float, float]
    colours: tuple[str, ...]
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    #: The colour that is meant where none is named, and wordings that name none.
    usual: tuple[str, tuple[str, ...]] = ("", ())


#: `{c}` is the colour's name.  An effect without it has its own colour, the only one in `colours`.
EFFECTS: dict[str, Effect] = {
    "lipstick": Effect(
        "lips", (0.65, 0.95), colours_of("lips"),
        ("{c} lipstick", "{c} lipstick", "{c} lips", "{c} lips", "lips painted {c}", "a {c} lip colour",
         "{c} lip gloss", "matte {c} lips", "glossy {c} lips", "{c} coloured lips", "lips in {c}", "{c} on the lips",
         "{c} lip stain", "lips that are {c}", "full {c} lips", "{c} liquid lipstick", "a {c} pout",
         "lipstick in {c}", "her lips are {c}", "the lips made up in {c}"),
        ("{c} lip tint", "a {c} mouth", "{c} lip paint"),
        ("red", ("lipstick", "painted lips", "wearing lipstick", "made up lips")),
    ),
    "eyeshadow": Effect(
        "shadow", (0.65, 0.95), colours_of("shadow"),
        ("{c} eyeshadow", "{c} eyeshadow", "{c} eye shadow", "{c} eyelids", "eyelids painted {c}",
         "{c} shadow on the eyelids", "shimmering {c} eyeshadow", "{c} on the eyelids", "{c} colour above the eyes",
         "eyelids dusted with {c}", "eyeshadow in {c}", "{c} powder on the eyelids", "matte {c} eyeshadow",
         "{c} pigment on the upper eyelids", "{c} glitter on the eyelids", "the eyelids are {c}", "{c} eye makeup"),
        ("{c} lids", "{c} powder over the eyes"),
        ("brown", ("eyeshadow", "a bit of eyeshadow", "shaded eyelids")),
    ),
    "eyeliner": Effect(
        "liner", (0.85, 1.0), colours_of("liner"),
        ("{c} eyeliner", "{c} eyeliner", "{c} winged eyeliner", "eyes lined in {c}", "a {c} cat eye line",
         "thick {c} eyeliner", "{c} eye pencil", "a {c} line along the lashes", "a {c} lash line",
         "eyes rimmed with {c}", "{c} wings at the corners of the eyes", "{c} cat eyes", "eyeliner in {c}",
         "eyes outlined in {c}", "a {c} line around the eyes", "{c} pencil around the eyes"),
        ("{c} kohl around the eyes", "{c} liner"),
        ("black", ("eyeliner", "winged eyeliner", "cat eyes", "a cat eye", "a fine line along the lashes")),
    ),
    "blush": Effect(
        "blush", (0.5, 0.85), colours_of("blush"),
        ("{c} blush", "{c} blush", "{c} cheeks", "{c} rouge on the cheeks", "{c} blusher", "cheeks flushed {c}",
         "{c} on the cheeks", "{c} colour on the cheeks", "cheeks dusted with {c}", "blush in {c}",
         "a {c} glow on the cheeks", "{c} powder on the cheeks", "blushing {c}", "the cheeks are {c}",
         "cheeks painted {c}", "a bit of {c} blush"),
        ("a {c} flush on the cheeks", "{c} rouge"),
        ("pink", ("blush", "a bit of blush", "blusher", "flushed cheeks", "a healthy glow on the cheeks")),
    ),
    "brows": Effect(
        "brows", (0.7, 0.95), colours_of("brows"),
        ("{c} eyebrows", "{c} eyebrows", "{c} brows", "eyebrows filled in {c}", "bold {c} eyebrows",
         "{c} brow pencil", "eyebrows in {c}", "eyebrows painted {c}", "brows coloured {c}", "{c} coloured eyebrows",
         "{c} brow gel", "{c} pomade in the brows", "the eyebrows are {c}", "thick {c} brows"),
        ("{c} tinted brows", "eyebrows dyed {c}"),
        ("brown", ("filled in eyebrows", "defined eyebrows", "eyebrow pencil", "full brows")),
    ),
    "contour": Effect(
        "contour", (0.6, 0.9), ("brown",),
        ("contoured cheeks", "sculpted cheekbones", "contouring below the cheekbones", "strong contour", "contour",
         "a contoured face", "contouring", "carved cheekbones", "bronzer under the cheekbones", "hollow cheeks",
         "cheek contour", "a sculpted face", "defined cheekbones", "shading under the cheekbones", "cheek shading",
         "darkened cheek hollows", "shadowed cheeks", "cheeks shaded with brown powder",
         "brown shading along the cheeks", "dark shadows under the cheekbones", "face contouring"),
        ("a chiselled contour", "shaded cheekbones"),
    ),
    "highlight": Effect(
        "highlight", (0.55, 0.9), ("white",),
        ("highlighter on the cheekbones", "a dewy highlight", "glowing highlighter", "a shiny highlighter",
         "highlighter", "highlighted cheekbones", "a luminous highlight", "radiant cheekbones", "strobing",
         "sparkling highlighter", "a glow on the cheekbones", "shine on the nose and cheekbones",
         "pearly highlighter", "a dewy glow"),
        ("shimmering highlighter", "glowing cheekbones"),
    ),
    "tan": Effect(
        "skin", (0.55, 0.8), ("tan",),
        ("tanned skin", "tanned skin", "a deep tan", "bronzed skin", "sun-kissed skin", "a fake tan", "a tan",
         "a tanned face", "self tanner", "a holiday tan", "a bronze complexion", "sunburnt brown skin",
         "tan foundation", "a golden tan", "a dark tan", "a sun tanned complexion"),
        ("a suntan", "skin tanned by the sun"),
    ),
    "pale": Effect(
        "skin", (0.55, 0.85), ("white",),
        ("pale foundation", "porcelain skin", "white face powder", "a white painted face", "a white face",
         "very pale skin", "white foundation", "a face painted white", "pale skin", "a pale complexion",
         "chalky skin", "deathly pale", "white powder all over the face", "skin as white as snow"),
        ("a face powdered white", "ghostly pale skin"),
    ),
}  # fmt: skip
FRECKLES = (
    ("freckles", "freckles on the nose and cheeks", "a freckled face", "painted freckles", "faux freckles",
     "freckles across the nose", "lots of freckles", "freckled cheeks"),
    ("a sprinkle of freckles",),
)  # fmt: skip
NO_MAKEUP = (
    ("no makeup", "a bare face", "without makeup", "a plain face", "a natural bare face", "a face without cosmetics",
     "face", "a clean face", "barefaced", "a face free of makeup", "makeup removed", "no make-up",
     "an unpainted face", "a face washed clean", "not wearing any makeup"),
    ("a face with nothing on it", "no cosmetics at all"),
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One effect of a look in one colour."""

    effect: str
    colour: str


@dataclass(frozen=True)
class Look:
    """What is on a face: layers, and whether it has freckles."""

    layers: tuple[Layer, ...] = ()
    freckles: bool = False
    #: Factor on every opacity.
    strength: float = field(default=1.0, compare=False)

    @property
    def key(self) -> frozenset[str]:
        """What one sees of it: two captions with the same key say the same."""
        parts = {f"{layer.colour} {layer.effect}" for layer in self.layers}
        return frozenset(parts | {"freckles"} if self.freckles else parts)

    @property
    def regions(self) -> set[Region]:
        """Where it is."""
        freckled: set[Region] = {"skin"} if self.freckles else set()
        return {EFFECTS[layer.effect].region for layer in self.layers} | freckled


def _look(*layers: str, strength: float = 1.0) -> Look:
    return Look(tuple(Layer(effect, colour) for colour, effect in (s.split() for s in layers)), strength=strength)


#: Whole looks: what they are, wordings trained on, wordings held out.
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
        ("goth makeup", "a gothic look", "dark gothic makeup", "a goth look", "gothic makeup", "emo goth makeup",
         "black and white gothic face"), ("goth style",),
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
        ("70s disco makeup", "a disco look", "colourful seventies makeup", "seventies disco", "a disco queen look",
         "1970s makeup"), ("disco era makeup",),
    ),
    "bridal": (
        _look("pink lipstick", "gold eyeshadow", "pink blush", "white highlight", strength=0.8),
        ("bridal makeup", "a soft wedding look", "makeup of a bride", "bride makeup", "a romantic bridal look",
         "makeup for a wedding"), ("wedding day makeup",),
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

_STRENGTHS = (("", 1.0), ("", 1.0), ("", 1.0), ("soft ", 0.8), ("subtle ", 0.75), ("bold ", 1.1), ("intense ", 1.1))
_TEMPLATES = ("{x}", "{x}", "a face with {x}", "a photo of a face with {x}", "a person wearing {x}",
              "a woman with {x}", "a man with {x}", "a portrait with {x}", "a close-up of a face with {x}",
              "makeup: {x}")  # fmt: skip
_TEMPLATES_HELD_OUT = ("{x}", "a selfie with {x}", "someone who has {x}")
#: How often the usual colour goes without saying.
_PLAIN = 0.4
_JOINS = (", ", " and ", " with ", " plus ")


@dataclass(frozen=True)
class Caption:
    """A sentence and what it says."""

    text: str
    look: Look


def caption(chance: random.Random, *, parts: int | None = None, held_out: bool = False) -> Caption:
    """A random caption: a look of `parts` parts (None: any), worded with held-out words or trained ones."""
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
        if effect.region in taken or (effect.region != "lips" and len(effect.colours) == 1 and chance.random() < 0.5):
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
    """A wording of one layer.  Held out is the wording, the colour's name, or both."""
    effect, colour = EFFECTS[layer.effect], COLOURS[layer.colour]
    if len(effect.colours) == 1:
        return chance.choice(effect.held_out if held_out else effect.names)
    usual, plain = effect.usual
    if layer.colour == usual and not held_out and chance.random() < _PLAIN:
        return chance.choice(plain)
    which = chance.choice(("words", "colour", "both")) if held_out else "none"
    wording = chance.choice(effect.held_out if which in ("words", "both") else effect.names)
    name = chance.choice(colour.held_out if which in ("colour", "both") else colour.names)
    return wording.format(c=name)


def _word(chance: random.Random, words: Sequence[tuple[str, ...]], held_out: bool) -> str:
    return chance.choice(words[1] if held_out else words[0])


def _wrap(chance: random.Random, text: str, held_out: bool) -> str:
    return chance.choice(_TEMPLATES_HELD_OUT if held_out else _TEMPLATES).format(x=text)


_THINGS = ("car", "sky", "dress", "wall", "shirt", "flowers", "balloon", "house", "cup", "dog")
_TALK = ("happy birthday", "a dog on the beach", "the quarterly report", "hello world", "asdf qwerty",
         "one two three", "a plate of pasta", "stock prices fell on Monday", "make it beautiful",
         "a mountain lake in autumn", "please protect my photo", "lorem ipsum dolor sit amet",
         "the capital of France", "a fast train", "", "12345", "?!", "my holiday in Spain", "sunglasses",
         "a wooden table", "blond hair", "a long beard", "a blue hat")  # fmt: skip


def small_talk() -> list[str]:
    """Sentences that speak of no makeup, some with colours."""
    coloured = [f"a {COLOURS[c].names[0]} {thing}" for c in COLOURS for thing in _THINGS[:: 1 + len(c) % 3]]
    return [*_TALK, *coloured]

"""Words of makeup: names of colours, and wordings of the effects that are painted with them.

Every entry has wordings for training and wordings that are held out for the evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.makeup.palette import colours_of
from engines.networks.frame import Region


@dataclass(frozen=True)
class Colour:
    """The names of one colour of the palette."""

    names: tuple[str, ...]
    held_out: tuple[str, ...]


def _colour(names: str, held_out: str) -> Colour:
    return Colour(tuple(names.split(", ")), tuple(held_out.split(", ")))


#: Names for training, the most common one twice; names held out.
COLOURS: dict[str, Colour] = {
    "red": _colour(
        "red, red, ruby, ruby red, cherry red, bright red, fire red, blood red, true red, classic red, poppy "
        "red, vermilion, carmine, strawberry red, tomato red, apple red, cardinal red, lava red, rose red, "
        "brick red, hot red, lipstick red, lobster red, chili red, signal red, vivid red, rich red, medium "
        "red, pillar box red, christmas red, blood, ruby coloured, warm red, cool red, red as blood, reddish",
        "crimson, scarlet",
    ),
    "burgundy": _colour(
        "burgundy, burgundy, dark red, deep red, wine red, wine, plum, oxblood, mahogany red, merlot, deep "
        "cherry, claret, blackberry, garnet, mulberry, black cherry, dark wine, very dark red, red wine, "
        "brownish red, dark brownish red, deep brownish red, dark cherry, cabernet, deep plum, dark berry, "
        "cranberry, brown red, port wine, beetroot, blackened red",
        "maroon, bordeaux red",
    ),
    "pink": _colour(
        "pink, pink, rose pink, light pink, bubblegum pink, pale pink, soft pink, rose, candy pink, ballet "
        "pink, flamingo pink, carnation pink, petal pink, cotton candy pink, rose coloured, dusty rose, "
        "powder pink, pastel pink, sweet pink, light rose, sakura pink, cherry blossom pink, pinkish, tender "
        "pink, marshmallow pink, pale rose, dusky pink, faint pink, flower pink",
        "baby pink, rosy",
    ),
    "magenta": _colour(
        "hot pink, hot pink, magenta, neon pink, vivid pink, barbie pink, raspberry pink, bright pink, "
        "raspberry, cerise, intense pink, orchid pink, loud pink, fluorescent pink, deep pink, pinkish "
        "purple, purplish pink, dark pink, strong pink, peony pink, azalea pink, electric pink, flashy pink, "
        "reddish purple, saturated pink, magenta pink, bright magenta, dragon fruit pink",
        "fuchsia, shocking pink",
    ),
    "coral": _colour(
        "coral, coral, salmon, warm coral, salmon pink, coral red, living coral, shrimp pink, melon, pinkish "
        "orange, papaya, grapefruit, watermelon, coral pink, orange pink, light red orange, pinkish red "
        "orange, soft coral, bright coral, reddish orange, tropical coral",
        "salmon coral",
    ),
    "orange": _colour(
        "orange, orange, tangerine, bright orange, mandarin orange, carrot orange, amber orange, neon "
        "orange, clementine, burnt orange, apricot orange, flame orange, sunset orange, vivid orange, deep "
        "orange, orange juice, fluorescent orange, marigold orange, rust orange, tiger orange, light orange, "
        "copper orange, yellowish orange",
        "pumpkin orange",
    ),
    "nude": _colour(
        "nude, nude, beige, peach, apricot, natural nude, skin coloured, sand coloured, light beige, nude "
        "beige, peach coloured, soft peach, cream beige, flesh coloured, pale apricot, warm nude, neutral, "
        "champagne beige, light peach, tan beige, natural beige, barely there nude, soft beige, pale nude, "
        "biscuit, light sand, oatmeal, buff, pinkish beige",
        "peachy, neutral beige",
    ),
    "brown": _colour(
        "brown, brown, chocolate brown, chocolate, coffee brown, bronze, chestnut, hazel brown, espresso "
        "brown, dark brown, earth brown, cinnamon brown, caramel brown, walnut, nut brown, umber, hot "
        "chocolate brown, toffee brown, latte brown, sepia, brownish, medium brown, wood brown, tobacco "
        "brown, coffee, deep brown, leather brown, russet brown, brown sugar, chestnut brown, auburn brown",
        "cocoa, mocha brown",
    ),
    "gold": _colour(
        "gold, gold, golden, metallic gold, shiny gold, honey gold, gold coloured, antique gold, gold "
        "glitter, gold leaf, brassy gold, champagne gold, rich gold, gold plated, pure gold, gold foil, "
        "glittering gold, yellow gold, gold dust, sparkling gold, old gold, goldish, bright gold, gold "
        "painted, bullion gold",
        "gilded",
    ),
    "yellow": _colour(
        "yellow, yellow, lemon yellow, bright yellow, lemon, sunflower yellow, banana yellow, neon yellow, "
        "sunny yellow, buttercup yellow, corn yellow, pale yellow, daffodil yellow, golden yellow lemon, "
        "vivid yellow, yellowish, mustard yellow, light yellow, fluorescent yellow, egg yolk yellow, mellow "
        "yellow, yellow as the sun",
        "canary yellow",
    ),
    "green": _colour(
        "green, green, emerald green, emerald, forest green, leaf green, moss green, bottle green, apple "
        "green, lime green, bright green, dark green, olive green, pine green, fern green, neon green, "
        "malachite green, shamrock green, deep green, medium green, greenish, kelly green, avocado green, "
        "spring green, mint green, jungle green, clover green, parrot green, light green, vivid green",
        "jade green, grass green",
    ),
    "teal": _colour(
        "teal, teal, turquoise, aqua, aquamarine, blue green, peacock, lagoon, sea green, ocean teal, "
        "greenish blue, bluish green, bright turquoise, petrol, aqua blue, turquoise blue, tropical sea "
        "blue, light blue green, bright aqua, teal blue, teal green, bright blue green, swimming pool blue, "
        "caribbean blue, verdigris, aquatic blue green, light turquoise, dark turquoise",
        "cyan",
    ),
    "blue": _colour(
        "blue, blue, cobalt blue, royal blue, sapphire, sapphire blue, bright blue, ultramarine, sky blue, "
        "denim blue, cornflower blue, ocean blue, vivid blue, lapis blue, medium blue, neon blue, cobalt, "
        "true blue, clear blue, light blue, bluish, strong blue, lively blue, bright sky blue, summer sky "
        "blue, bluebell blue, intense blue, blue as the sky, primary blue",
        "azure blue, electric blue",
    ),
    "navy": _colour(
        "navy, navy, dark blue, midnight blue, deep blue, very dark blue, night blue, marine navy, ink blue, "
        "deep sea blue, blackish blue, deep indigo, dark navy, indigo blue, midnight navy, dark ink blue, "
        "almost black blue, very deep blue, ink coloured blue, dark sapphire, deep ocean blue, sailor blue, "
        "uniform blue, dark midnight blue",
        "navy blue",
    ),
    "purple": _colour(
        "purple, purple, violet, amethyst purple, amethyst, deep purple, royal purple, bright purple, dark "
        "violet, aubergine purple, ultra violet, purplish, vivid violet, eggplant purple, medium purple, "
        "strong purple, purple violet, vivid purple, majestic purple, imperial purple, dark purple, bluish "
        "purple, purple like grapes, deep violet, intense purple",
        "grape purple",
    ),
    "lavender": _colour(
        "lavender, lavender, lilac, pale purple, light purple, mauve, soft lilac, light violet, wisteria, "
        "pale violet, periwinkle, lavender coloured, soft purple, pale lilac, light lavender, pale mauve, "
        "whitish purple, faint purple, light mauve, pastel violet, pastel lilac, light amethyst, lilac grey, "
        "powdery purple, delicate lilac",
        "pastel purple",
    ),
    "black": _colour(
        "black, black, jet black, pitch black, coal black, raven black, onyx, deep black, obsidian, charcoal "
        "black, midnight black, black as night, soot black, pure black, onyx black, very black, dark black, "
        "tar black, licorice black, blackest black, shiny black, matte black, black like coal, ink, black "
        "ink, blackish, darkest black, black lacquer",
        "ebony, inky black",
    ),
    "white": _colour(
        "white, white, pure white, snow white, bright white, milk white, ivory white, pearl white, paper "
        "white, snowy, cloud white, cream white, white as snow, frosty white, brilliant white, whitish, "
        "clean white, whiter than white, matte white, opaque white, marble white, eggshell white, white "
        "paint, titanium white, bone white",
        "chalk white",
    ),
    "silver": _colour(
        "silver, silver, gray, grey, metallic silver, silvery, light gray, ash gray, platinum, pewter, "
        "chrome, slate gray, stone gray, metal gray, iron gray, cool grey, gunmetal grey, shiny silver, "
        "grayish, medium gray, dull gray, silver metal, cold gray, mouse gray, aluminium, cloudy gray, "
        "steely, pale gray, silver grey, metallic gray",
        "steel gray",
    ),
    "tan": _colour("tan", "tan"),
}


@dataclass(frozen=True)
class Effect:
    """A kind of makeup: its region, least and largest opacity, colours and wordings."""

    region: Region
    opacity: tuple[float, float]
    colours: tuple[str, ...]
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    #: The colour of wordings that name none, and these wordings.
    usual: tuple[str, tuple[str, ...]] = ("", ())


#: `{c}` is the colour's name.  Wordings without it belong to the only colour in `colours`.
EFFECTS: dict[str, Effect] = {
    "lipstick": Effect(
        "lips", (0.65, 0.95), colours_of("lips"),
        ("{c} lipstick", "{c} lipstick", "{c} lips", "{c} lips", "lips painted {c}", "a {c} lip colour",
         "{c} lip gloss", "matte {c} lips", "glossy {c} lips", "{c} coloured lips", "lips in {c}",
         "{c} on the lips", "{c} lip stain", "lips that are {c}", "full {c} lips", "{c} liquid lipstick",
         "a {c} pout", "lipstick in {c}", "her lips are {c}", "the lips made up in {c}"),
        ("{c} lip tint", "a {c} mouth", "{c} lip paint"),
        ("red", ("lipstick", "painted lips", "wearing lipstick", "made up lips")),
    ),
    "eyeshadow": Effect(
        "shadow", (0.65, 0.95), colours_of("shadow"),
        ("{c} eyeshadow", "{c} eyeshadow", "{c} eye shadow", "{c} eyelids", "eyelids painted {c}",
         "{c} shadow on the eyelids", "shimmering {c} eyeshadow", "{c} on the eyelids",
         "{c} colour above the eyes", "eyelids dusted with {c}", "eyeshadow in {c}",
         "{c} powder on the eyelids", "matte {c} eyeshadow", "{c} pigment on the upper eyelids",
         "{c} glitter on the eyelids", "the eyelids are {c}", "{c} eye makeup"),
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
        ("{c} blush", "{c} blush", "{c} cheeks", "{c} rouge on the cheeks", "{c} blusher",
         "cheeks flushed {c}", "{c} on the cheeks", "{c} colour on the cheeks", "cheeks dusted with {c}",
         "blush in {c}", "a {c} glow on the cheeks", "{c} powder on the cheeks", "blushing {c}",
         "the cheeks are {c}", "cheeks painted {c}", "a bit of {c} blush"),
        ("a {c} flush on the cheeks", "{c} rouge"),
        ("pink", ("blush", "a bit of blush", "blusher", "flushed cheeks", "a healthy glow on the cheeks")),
    ),
    "brows": Effect(
        "brows", (0.7, 0.95), colours_of("brows"),
        ("{c} eyebrows", "{c} eyebrows", "{c} brows", "eyebrows filled in {c}", "bold {c} eyebrows",
         "{c} brow pencil", "eyebrows in {c}", "eyebrows painted {c}", "brows coloured {c}",
         "{c} coloured eyebrows", "{c} brow gel", "{c} pomade in the brows", "the eyebrows are {c}",
         "thick {c} brows"),
        ("{c} tinted brows", "eyebrows dyed {c}"),
        ("brown", ("filled in eyebrows", "defined eyebrows", "eyebrow pencil", "full brows")),
    ),
    "contour": Effect(
        "contour", (0.6, 0.9), ("brown",),
        ("contoured cheeks", "sculpted cheekbones", "contouring below the cheekbones", "strong contour",
         "contour", "a contoured face", "contouring", "carved cheekbones", "bronzer under the cheekbones",
         "hollow cheeks", "cheek contour", "a sculpted face", "defined cheekbones",
         "shading under the cheekbones", "cheek shading", "darkened cheek hollows", "shadowed cheeks",
         "cheeks shaded with brown powder", "brown shading along the cheeks",
         "dark shadows under the cheekbones", "face contouring"),
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
    (
        "freckles",
        "freckles on the nose and cheeks",
        "a freckled face",
        "painted freckles",
        "faux freckles",
        "freckles across the nose",
        "lots of freckles",
        "freckled cheeks",
    ),
    ("a sprinkle of freckles",),
)
NO_MAKEUP = (
    (
        "no makeup",
        "a bare face",
        "without makeup",
        "a plain face",
        "a natural bare face",
        "a face without cosmetics",
        "face",
        "a clean face",
        "barefaced",
        "a face free of makeup",
        "makeup removed",
        "no make-up",
        "an unpainted face",
        "a face washed clean",
        "not wearing any makeup",
    ),
    ("a face with nothing on it", "no cosmetics at all"),
)

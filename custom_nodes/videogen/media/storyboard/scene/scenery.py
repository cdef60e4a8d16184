"""The scenery behind the figures: the kind of a location, and its layers as images."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ....core.segment.plan import SegmentPlan
from ..drawing.canvas import Canvas
from ..drawing.colors import RGB, Light, darken, read_light
from . import built, outdoors
from .words import says, seed_of, words_of

#: kind → words in a location's name, label or description; the first kind whose words match counts.
SCENERY_WORDS: tuple[tuple[str, str], ...] = (
    (
        "nursery",
        r"nurser(?:y|ies)|green ?houses?|garden cent(?:er|re)s?|\w*baumschulen?|gewächsh(?:aus|äuser)\w*|"
        r"gärtnerei\w*|gartencenter",
    ),
    (
        "room",
        r"(?:bed|living|bath|class|dining|store)?[ -]?rooms?|indoors?|kitchen|office|studio|workshop|inside|"
        r"café|cafe|bar|hall|library|attic|"
        r"\w*küche\w*|\w*zimmer|büro|innen|werkstatt|"
        r"wohnung|apartment|stube|bibliothek|saal|dachboden",
    ),
    (
        "city",
        r"cit(?:y|ies)|towns?|streets?|squares?|downtown|urban|villages?|"
        r"market|station|\w*stadt|straßen?|\w*straße|\w*platz|gassen?|dorf|"
        r"markt|bahnhof",
    ),
    (
        "sea",
        r"seas?|beach(?:es)?|ocean|coast|shore|harbou?r|lake|island|"
        r"meer\w*|strand\w*|\w*küste|ozean|hafen|(?-i:See|[A-ZÄÖÜ]\w+see)|ufer|insel",
    ),
    ("desert", r"deserts?|dunes?|sahara|wüsten?|dünen?"),
    ("mountain", r"mountains?|alps?|alpine|peaks?|summit|\w*gebirge|berge?n?|alm|alpen|gipfel"),
    ("forest", r"\w*forests?|woods?|woodland|jungle|clearing|\w*wald\w*|wälder|dschungel|lichtung"),
    (
        "garden",
        r"\w*gardens?|parks?|courtyard|backyard|lawn|orchards?|\w*garten|\w*gärten|"
        r"park\w*|hof|obstwiese|streuobst\w*",
    ),
    ("field", r"\w*fields?|farmland|acre|farm|\w*feld\w*|\w*felder|\w*acker|\w*äcker|bauernhof|furrows?|furchen"),
    ("country", r"meadows?|hills?|countryside|landscape|\w*wiesen?|hügel|landschaft|weiden?|pasture|outdoors?|draußen"),
)
HORIZON = {"room": 0.66, "city": 0.62, "sea": 0.50, "mountain": 0.60, "desert": 0.54, "forest": 0.58}
_DEFAULT_HORIZON = 0.52
_PAINTERS = {**outdoors.LANDSCAPES, **built.BUILT_PLACES}


@dataclass(frozen=True)
class Scene:
    """A place in its light. `seed` determines the position of every hill and tree."""

    kind: str
    seed: int
    light: Light

    @property
    def horizon(self) -> float:
        """Share of the image's height above the horizon."""
        return HORIZON.get(self.kind, _DEFAULT_HORIZON)


@dataclass(frozen=True)
class Layers:
    """The images of a scene, back to front.

    Attributes:
        sky: RGB, as large as the image.
        clouds, far, near, front: RGBA, each with the position of its top left corner; they extend beyond the
            image's sides.
    """

    sky: Image.Image
    clouds: tuple[Image.Image, int, int] | None
    far: tuple[Image.Image, int, int] | None
    near: tuple[Image.Image, int, int] | None
    front: tuple[Image.Image, int, int] | None


def read_scene(plan: SegmentPlan) -> Scene:
    """The scene of a segment; the same for all segments with the same location and light."""
    location = plan.location
    if location is None:
        return Scene("country", zlib.crc32(plan.slug.encode()), read_light(plan.lighting, plan.kelvin))
    words = words_of(location)
    naming = f"{location.name.replace('_', ' ')} {location.label}"
    return Scene(
        _find_kind(naming) or _find_kind(location.description) or "country",
        seed_of(location),
        read_light(f"{words} {plan.lighting}", plan.kelvin),
    )


def _find_kind(text: str) -> str | None:
    # The description may name other things in sight; the first match is the place.
    return next((kind for kind, words in SCENERY_WORDS if says(rf"(?:{words})\b", text)), None)


def paint_layers(scene: Scene, size: tuple[int, int], zoom: float = 1.0, pad: int = 0) -> Layers:
    """Paint a scene.

    Args:
        size: of the image in pixels.
        zoom: 1 for a wide shot; a closer one sees less of the place, out of focus.
        pad: pixels by which the layers extend beyond the left and right edge.
    """
    blur = (zoom - 1.0) * size[1] * 0.0075
    painter = _PAINTERS[scene.kind]

    def paint(number: int, soft: float = blur, width_pad: int = pad) -> tuple[Image.Image, int, int] | None:
        draw = painter.layers[number]
        if draw is None:
            return None
        canvas = Canvas((size[0] + 2 * width_pad, size[1]), *_frame(scene, size, zoom, width_pad))
        draw(canvas, scene.light, np.random.default_rng([scene.seed, number]))
        return _trim(canvas.finish(), soft, -width_pad)

    clouds = None if painter.closed else _clouds(scene, size, zoom)
    return Layers(_sky(scene, size, zoom), clouds, paint(0), paint(1), paint(2, blur + size[1] * 0.004))


def _frame(scene: Scene, size: tuple[int, int], zoom: float, pad: int) -> tuple[float, tuple[float, float]]:
    scale = size[1] * zoom
    # The horizon stays where it is, at eye level, whatever the focal length; closer shots see it a little higher.
    return scale, (pad + size[0] / 2, scene.horizon * size[1] - scene.horizon * scale)


def _trim(image: Image.Image, blur: float, left: int) -> tuple[Image.Image, int, int] | None:
    box = image.getbbox()
    if box is None:
        return None
    margin = math.ceil(blur * 3)
    x, y = max(0, box[0] - margin), max(0, box[1] - margin)
    image = image.crop((x, y, min(image.width, box[2] + margin), min(image.height, box[3] + margin)))
    if blur >= 0.4:
        # Premultiplied, else the black of transparent pixels bleeds in.
        image = image.convert("RGBa").filter(ImageFilter.GaussianBlur(blur)).convert("RGBA")
    return image, left + x, y


_SKIES: dict[str, tuple[RGB, RGB, RGB]] = {
    "day": ((112, 172, 220), (176, 212, 234), (236, 241, 236)),
    "overcast": ((150, 172, 190), (194, 208, 216), (230, 232, 228)),
    "dusk": ((84, 92, 142), (206, 138, 134), (250, 206, 150)),
    "night": ((14, 20, 44), (28, 40, 74), (62, 78, 112)),
}


def _sky(scene: Scene, size: tuple[int, int], zoom: float) -> Image.Image:
    light = scene.light
    name = "overcast" if light.overcast and light.time == "day" else light.time
    stops = _SKIES[name]
    if light.time == "day":
        stops = tuple(light(color) for color in stops)  # type: ignore[assignment]
    random = np.random.default_rng([scene.seed, 9])
    aspect = size[0] / size[1]
    x = 0.5 + (-1 if random.random() < 0.5 else 1) * min(0.30, 0.41 / aspect)
    y = 0.72 * scene.horizon if light.time == "dusk" else 0.17
    glow = np.array({"day": (255, 250, 226), "dusk": (255, 214, 150), "night": (150, 168, 214)}[light.time], np.float32)
    strength = 0.0 if scene.kind == "room" else 0.30 if light.overcast else 0.62
    spread = 0.05 if light.time == "night" else 0.16
    # Noise of half a step dithers the gradient: no bands on a screen, or in a video.
    noise = np.random.default_rng(scene.seed).random((64, min(size[0], 256), 1), dtype=np.float32) - 0.5
    noise = np.tile(noise, (1, -(-size[0] // noise.shape[1]), 1))[:, : size[0]]
    across = np.exp(-(((np.arange(size[0], dtype=np.float32) + 0.5) / size[1] - x * aspect) ** 2) / spread)
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    # In bands: a large image in floating point would take several times its memory.
    for first in range(0, size[1], 64):
        rows = (np.arange(first, min(size[1], first + 64), dtype=np.float32)[:, None] + 0.5) / size[1]
        # The gradient ends at the horizon.
        band = _gradient(stops, np.clip(rows / scene.horizon, 0, 1))[:, None, :]
        share = (np.exp(-((rows - y) ** 2) / spread) * across * strength)[:, :, None]
        pixels[first : first + 64] = np.clip(np.rint(band + (glow - band) * share + noise[: len(rows)]), 0, 255)
    image = Image.fromarray(pixels)
    if scene.kind != "room":
        _sun_or_stars(image, scene, (x * size[0], y * size[1]), random)
    return image


def _gradient(stops: tuple[RGB, RGB, RGB], places: np.ndarray) -> np.ndarray:
    """Colors at places from 0 to 1, shape (n, 1), as an array of shape (n, 3)."""
    top, middle, low = (np.array(color, dtype=np.float32) for color in stops)
    return np.where(places < 0.6, top + (middle - top) * places / 0.6, middle + (low - middle) * (places - 0.6) / 0.4)


def _sun_or_stars(image: Image.Image, scene: Scene, place: tuple[float, float], random: np.random.Generator) -> None:
    width, height = image.size
    # None of it is below the horizon.
    canvas = Canvas((width, max(1, round(height * scene.horizon))), height)
    x, y = place[0] / height, place[1] / height
    if scene.light.time == "night":
        for _ in range(90):
            star = (
                float(random.uniform(-1.2, 1.2)) + width / height / 2,
                float(random.uniform(0, scene.horizon * 0.8)),
            )
            canvas.ellipse(*star, 0.0013, 0.0013, (232, 238, 255), float(random.uniform(0.25, 0.9)))
        canvas.ellipse(x, y, 0.042, 0.042, (238, 240, 246))
        canvas.ellipse(x + 0.012, y - 0.008, 0.008, 0.008, (206, 212, 226))
        canvas.ellipse(x - 0.010, y + 0.012, 0.011, 0.011, (214, 220, 232))
    elif not scene.light.overcast:
        canvas.ellipse(x, y, 0.046, 0.046, (255, 252, 236) if scene.light.time == "day" else (255, 236, 190), 0.95)
    layer = canvas.finish()
    image.paste(layer, (0, 0), layer)


def _clouds(scene: Scene, size: tuple[int, int], zoom: float) -> tuple[Image.Image, int, int] | None:
    """A band of clouds, an eighth wider than the image: it drifts to the left."""
    light, height = scene.light, size[1]
    width = size[0] + max(8, size[0] // 8)
    canvas = Canvas((width, round(height * scene.horizon * 0.86)), height, (size[0] / 2, 0))
    random = np.random.default_rng([scene.seed, 5])
    body: RGB = {"day": (255, 255, 255), "dusk": (252, 214, 196), "night": (66, 80, 116)}[light.time]
    if light.overcast and light.time == "day":
        body = (232, 236, 238)
    alpha = {"day": 0.78, "dusk": 0.5, "night": 0.5}[light.time]
    for index in range(11):
        x = -1.7 + index * 0.36 + float(random.uniform(-0.12, 0.12))
        y = float(random.uniform(0.07, 0.30))
        _cloud(canvas, x, y, float(random.uniform(0.07, 0.15)) * (1.25 if light.overcast else 1.0), body, alpha, random)
    return _trim(canvas.finish(), height * 0.002 + (zoom - 1) * height * 0.006, 0)


def _cloud(
    canvas: Canvas, x: float, y: float, size: float, body: RGB, alpha: float, random: np.random.Generator
) -> None:
    puffs = []
    for index in range(6):
        share = (index - 2.5) / 2.5
        radius = size * (0.42 - 0.22 * abs(share)) * float(random.uniform(0.85, 1.15))
        puffs.append((x + share * size, y - radius * 0.35, radius, radius * 0.62))
    base = (x, y, size * 1.25, size * 0.13)
    canvas.ellipses(
        [(px, py + size * 0.05, rx, ry) for px, py, rx, ry in puffs] + [base], darken(body, 0.12), alpha * 0.55
    )
    canvas.ellipses([*puffs, (x, y - size * 0.01, size * 1.2, size * 0.11)], body, alpha)


def drift(seconds: float, size: tuple[int, int]) -> float:
    """Pixels by which the clouds have moved after some seconds; they slow down so that they never leave the band."""
    reach = size[0] / 8
    return reach * (1 - math.exp(-seconds * 0.0035 * size[1] / reach))

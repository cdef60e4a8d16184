"""Colors as RGB triples, and the effect of light on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

RGB = tuple[int, int, int]


def parse_color(text: str, default: RGB = (128, 128, 128)) -> RGB:
    """``#rrggbb`` or ``#rgb`` as (red, green, blue), 0 to 255 each; `default` for anything else."""
    match = re.fullmatch(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", text.strip())
    if not match:
        return default
    digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """`first` at share 0, `second` at share 1, a straight line between."""
    share = min(1.0, max(0.0, share))
    return (
        round(first[0] + (second[0] - first[0]) * share),
        round(first[1] + (second[1] - first[1]) * share),
        round(first[2] + (second[2] - first[2]) * share),
    )


def lighten(color: RGB, share: float) -> RGB:
    return mix(color, (255, 255, 255), share)


def darken(color: RGB, share: float) -> RGB:
    # Towards a deep blue rather than black: shadows out of doors are cool.
    return mix(color, (18, 22, 38), share)


def luminance(color: RGB) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""

    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])


@dataclass(frozen=True)
class Light:
    """The effect of light on a color.

    Attributes:
        gain: factors for red, green and blue.
        time: ``day``, ``dusk`` or ``night``.
        overcast: whether the sky is clouded over.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    time: str = "day"
    overcast: bool = False

    def __call__(self, color: RGB) -> RGB:
        red, green, blue = (min(255, max(0, round(value * gain))) for value, gain in zip(color, self.gain, strict=True))
        return red, green, blue

    def soften(self, share: float) -> Light:
        """The same light with less effect, so that figures stay recognizable at night."""
        red, green, blue = (1 + (gain - 1) * share for gain in self.gain)
        return Light((red, green, blue), self.time, self.overcast)


_NIGHT = re.compile(r"\b(?:night\w*|nacht\w*|nächt\w*|midnight|mitternacht\w*|moonl\w*|mondlicht|mondschein)\b", re.I)
_DUSK = re.compile(
    r"\b(?:dusk|dawn|sunset|sunrise|evening\w*|abend\w*|dämmerung\w*|"
    r"sonnenuntergang\w*|sonnenaufgang\w*|golden hour|twilight)\b",
    re.I,
)
_OVERCAST = re.compile(r"\b(?:overcast|cloudy|bedeckt\w*|bewölkt\w*|rain\w*|regen\w*|fog\w*|nebel\w*|grey sky)\b", re.I)
_GAIN_BY_TIME = {"day": (1.0, 1.0, 1.0), "dusk": (1.04, 0.86, 0.80), "night": (0.34, 0.42, 0.62)}


def read_light(words: str, kelvin: tuple[int, int] | None) -> Light:
    """The light of a scene, from the words on its place and lighting and the color temperature in kelvin."""
    time = "night" if _NIGHT.search(words) else "dusk" if _DUSK.search(words) else "day"
    red, green, blue = _GAIN_BY_TIME[time]
    if kelvin:
        # Around 5750 K, daylight, nothing changes; the tint stays slight, as the eye adapts.
        shift = min(1.0, max(-1.0, (sum(kelvin) / 2 - 5750) / 3500))
        red, blue = red * (1 - 0.09 * shift), blue * (1 + 0.09 * shift if shift < 0 else 1 + 0.05 * shift)
        green *= 1 - 0.02 * abs(shift)
    return Light((red, green, blue), time, bool(_OVERCAST.search(words)))

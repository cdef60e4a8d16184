"""A character as a flat, friendly figure. Units: its own height; (0, 0) is the middle of the top of its head."""

from __future__ import annotations

from ..drawing.canvas import Canvas, Point, box_points, curve
from ..drawing.colors import RGB, Light, darken, lighten, luminance, mix
from .words import Look

#: Width of a figure over its height, arms and brim of the hat within.
PERSON_ASPECT = 0.44


def draw_person(canvas: Canvas, look: Look, light: Light) -> None:
    """Draw a standing figure, feet at y = 1."""
    lit = light.soften(0.6)
    skin, hair, trousers = lit(look.skin), lit(look.hair), lit(look.trousers)
    top = lit(look.dress or look.jacket or look.top)
    if look.long_hair and not look.bald:
        _hair_behind(canvas, hair)
    if look.dress is None:
        _legs(canvas, trousers, lit((58, 52, 50)))
    else:
        _bare_legs(canvas, skin, lit((70, 58, 60)))
    _torso(canvas, top, look, lit)
    _arms(canvas, top, skin, look.pose)
    _neck(canvas, skin)
    _collar(canvas, lit(look.top), look, lit)
    # A child's head is larger for its height; it grows from the chin.
    growth = 1.22 if look.child else 1.0
    head = canvas.shift(0, 0.158 * (1 - growth), growth)
    _head(head, skin, hair, look, lit)


def _legs(canvas: Canvas, color: RGB, shoe: RGB) -> None:
    for side in (-1, 1):
        leg = [
            (side * 0.002, 0.49),
            (side * 0.086, 0.47),
            (side * 0.083, 0.62),
            (side * 0.071, 0.80),
            (side * 0.067, 0.962),
            (side * 0.020, 0.962),
            (side * 0.015, 0.78),
        ]
        canvas.polygon(leg, color if side < 0 else (darken(color, 0.10), darken(color, 0.20)))
        canvas.polygon(
            curve(
                [
                    (side * 0.017, 0.958),
                    (side * 0.070, 0.955),
                    (side * 0.090, 0.982),
                    (side * 0.086, 0.998),
                    (side * 0.018, 0.998),
                ]
            ),
            shoe,
        )


def _bare_legs(canvas: Canvas, skin: RGB, shoe: RGB) -> None:
    for side in (-1, 1):
        canvas.stroke([(side * 0.036, 0.70), (side * 0.034, 0.96)], 0.036, darken(skin, 0.06), end=0.026)
        canvas.polygon(
            curve(
                [
                    (side * 0.014, 0.962),
                    (side * 0.052, 0.955),
                    (side * 0.070, 0.984),
                    (side * 0.064, 0.998),
                    (side * 0.012, 0.998),
                ]
            ),
            shoe,
        )


def _torso(canvas: Canvas, color: RGB, look: Look, lit: Light) -> None:
    shoulder, waist = (0.098, 0.070) if look.feminine else (0.114, 0.088)
    if look.dress:
        outline = [
            (-0.030, 0.176),
            (-shoulder, 0.206),
            (-shoulder * 0.93, 0.28),
            (-waist * 0.9, 0.40),
            (-0.150, 0.745),
            (0, 0.76),
            (0.150, 0.745),
            (waist * 0.9, 0.40),
            (shoulder * 0.93, 0.28),
            (shoulder, 0.206),
            (0.030, 0.176),
        ]
    else:
        outline = [
            (-0.030, 0.174),
            (-shoulder, 0.206),
            (-shoulder * 0.97, 0.30),
            (-waist, 0.42),
            (-waist * 1.04, 0.522),
            (0, 0.530),
            (waist * 1.04, 0.522),
            (waist, 0.42),
            (shoulder * 0.97, 0.30),
            (shoulder, 0.206),
            (0.030, 0.174),
        ]
    body = curve(outline, steps=8)
    canvas.polygon(body, (lighten(color, 0.05), darken(color, 0.10)))
    # The side away from the light, as one soft shape.
    shade = [(x, y) for x, y in body if x > 0.03]
    canvas.polygon([*shade, (0.050, 0.30)], darken(color, 0.5), 0.14)
    if look.jacket:
        shirt = lit(look.top)
        canvas.polygon(
            [(-0.030, 0.174), (0.030, 0.174), (0.034, 0.34), (0.016, 0.528), (-0.016, 0.528), (-0.034, 0.34)], shirt
        )
        for side in (-1, 1):
            lapel = [(side * 0.028, 0.176), (side * 0.058, 0.205), (side * 0.060, 0.28), (side * 0.030, 0.36)]
            canvas.polygon(lapel, darken(color, 0.16 if side < 0 else 0.26))
    elif look.dress is None:
        belt = box_points(-waist * 1.03, 0.512, waist * 1.03, 0.53, 0.004)
        canvas.polygon(belt, darken(lit(look.trousers), 0.45))
        if not look.feminine:
            canvas.box(-0.0016, 0.235, 0.0016, 0.512, darken(color, 0.35), 0.55)
            for row in range(5):
                canvas.ellipse(0.006, 0.262 + row * 0.055, 0.0032, 0.0032, lighten(color, 0.55), 0.9)
    if look.apron:
        cloth = lit((112, 136, 110))
        for side in (-1, 1):
            canvas.stroke([(side * 0.036, 0.31), (side * 0.046, 0.19)], 0.010, darken(cloth, 0.2))
        apron = [
            (-0.044, 0.302),
            (0.044, 0.302),
            (0.056, 0.40),
            (0.084, 0.45),
            (0.088, 0.66),
            (0, 0.672),
            (-0.088, 0.66),
            (-0.084, 0.45),
            (-0.056, 0.40),
        ]
        canvas.polygon(curve(apron, steps=6), (cloth, darken(cloth, 0.14)))
        canvas.stroke(
            [(-0.040, 0.50), (0.040, 0.50), (0.036, 0.57), (-0.036, 0.57), (-0.040, 0.50)],
            0.003,
            darken(cloth, 0.4),
            0.5,
        )


def _arms(canvas: Canvas, sleeve: RGB, skin: RGB, pose: int) -> None:
    reach: dict[int, tuple[list[Point], list[Point]]] = {
        0: ([(-0.097, 0.236), (-0.132, 0.36), (-0.130, 0.476)], [(0.097, 0.236), (0.132, 0.36), (0.130, 0.476)]),
        1: ([(-0.097, 0.236), (-0.132, 0.36), (-0.130, 0.476)], [(0.097, 0.236), (0.156, 0.345), (0.096, 0.452)]),
        2: ([(-0.097, 0.236), (-0.140, 0.352), (-0.050, 0.405)], [(0.097, 0.236), (0.132, 0.36), (0.130, 0.476)]),
    }
    for side, (shoulder, elbow, hand) in zip((-1, 1), reach[pose], strict=True):
        color = sleeve if side < 0 else darken(sleeve, 0.10)
        cuff = (elbow[0] + (hand[0] - elbow[0]) * 0.80, elbow[1] + (hand[1] - elbow[1]) * 0.80)
        # A darker rim sets the arm off against the shirt of the same color.
        canvas.stroke(curve([shoulder, elbow, cuff], closed=False), 0.056, darken(sleeve, 0.45), 0.22, end=0.044)
        canvas.stroke([cuff, hand], 0.030, skin, end=0.028)
        canvas.ellipse(hand[0], hand[1] + 0.010, 0.0175, 0.0205, skin)
        canvas.stroke(curve([shoulder, elbow, cuff], closed=False), 0.052, color, end=0.040)


def _neck(canvas: Canvas, skin: RGB) -> None:
    canvas.polygon([(-0.025, 0.13), (0.025, 0.13), (0.027, 0.182), (0.0, 0.205), (-0.027, 0.182)], darken(skin, 0.14))
    canvas.polygon([(-0.025, 0.148), (0.025, 0.140), (0.026, 0.166), (-0.025, 0.162)], darken(skin, 0.30), 0.45)


def _collar(canvas: Canvas, color: RGB, look: Look, lit: Light) -> None:
    if look.dress or look.feminine:
        canvas.ellipse(0, 0.180, 0.029, 0.024, darken(lit(look.skin), 0.14))
        return
    light = lighten(color, 0.16)
    for side in (-1, 1):
        canvas.polygon(
            [(side * 0.002, 0.214), (side * 0.028, 0.170), (side * 0.044, 0.182), (side * 0.032, 0.222)], light
        )
        canvas.stroke([(side * 0.002, 0.214), (side * 0.032, 0.222)], 0.0022, darken(color, 0.4), 0.5)


def _hair_behind(canvas: Canvas, hair: RGB) -> None:
    canvas.polygon(
        curve(
            [
                (0, 0.002),
                (-0.056, 0.03),
                (-0.068, 0.10),
                (-0.075, 0.19),
                (-0.05, 0.232),
                (0, 0.20),
                (0.05, 0.232),
                (0.075, 0.19),
                (0.068, 0.10),
                (0.056, 0.03),
            ]
        ),
        darken(hair, 0.18),
    )


def _head(canvas: Canvas, skin: RGB, hair: RGB, look: Look, lit: Light) -> None:
    beard = lit(look.beard_color or look.hair)
    for side in (-1, 1):
        canvas.ellipse(side * 0.0515, 0.090, 0.0095, 0.0155, darken(skin, 0.10 if side < 0 else 0.2))
    face = curve(
        [
            (0, 0.012),
            (-0.036, 0.024),
            (-0.051, 0.062),
            (-0.049, 0.102),
            (-0.032, 0.142),
            (0, 0.158),
            (0.032, 0.142),
            (0.049, 0.102),
            (0.051, 0.062),
            (0.036, 0.024),
        ]
    )
    canvas.polygon(face, skin)
    canvas.polygon([point for point in face if point[0] > 0.0] + [(0.026, 0.09)], darken(skin, 0.45), 0.10)
    if not look.bald:
        _hair_in_front(canvas, hair, look)
    if look.beard:
        _beard(canvas, beard, skin)
    dark = mix(darken(hair, 0.55), (30, 28, 30), 0.5) if luminance(hair) < 0.6 else darken(skin, 0.6)
    for side in (-1, 1):
        canvas.ellipse(side * 0.0205, 0.086, 0.0042, 0.0054, (38, 34, 38))
        canvas.stroke([(side * 0.0125, 0.0705), (side * 0.0200, 0.0675), (side * 0.0285, 0.0705)], 0.0042, dark, 0.85)
    nose = [(0.001, 0.088), (0.0065, 0.106), (0.0065, 0.1085), (-0.003, 0.1085)]
    canvas.stroke(curve(nose, closed=False), 0.0030, darken(skin, 0.42), 0.55)
    mouth = [(-0.0145, 0.1245), (0, 0.1290), (0.0145, 0.1245)]
    canvas.stroke(curve(mouth, closed=False), 0.0036, mix(darken(skin, 0.5), (150, 60, 60), 0.35), 0.85)
    for side in (-1, 1):
        canvas.ellipse(side * 0.033, 0.110, 0.0085, 0.0060, (224, 110, 96), 0.16)
    if look.moustache or look.beard:
        for side in (-1, 1):
            canvas.polygon(
                curve(
                    [(0, 0.1130), (side * 0.012, 0.1125), (side * 0.025, 0.1225), (side * 0.011, 0.1215), (0, 0.1195)]
                ),
                beard,
            )
    if look.glasses:
        _glasses(canvas)
    if look.hat:
        (_cap if look.cap else _hat)(canvas, lit(look.hat))


def _hair_in_front(canvas: Canvas, hair: RGB, look: Look) -> None:
    if look.long_hair:
        cap = [
            (0.012, -0.004),
            (-0.030, 0.002),
            (-0.058, 0.036),
            (-0.064, 0.10),
            (-0.062, 0.16),
            (-0.049, 0.12),
            (-0.043, 0.070),
            (-0.020, 0.044),
            (0.016, 0.026),
            (0.036, 0.046),
            (0.046, 0.075),
            (0.050, 0.12),
            (0.062, 0.16),
            (0.064, 0.10),
            (0.057, 0.034),
            (0.036, 0.004),
        ]
    else:
        cap = [
            (0.010, -0.004),
            (-0.026, 0.000),
            (-0.051, 0.026),
            (-0.0565, 0.062),
            (-0.053, 0.086),
            (-0.047, 0.072),
            (-0.042, 0.054),
            (-0.020, 0.043),
            (0.014, 0.044),
            (0.036, 0.037),
            (0.044, 0.056),
            (0.048, 0.074),
            (0.053, 0.086),
            (0.0565, 0.060),
            (0.049, 0.024),
            (0.032, 0.002),
        ]
    canvas.polygon(curve(cap), (lighten(hair, 0.08), darken(hair, 0.08)))
    canvas.stroke(
        curve([(-0.036, 0.024), (-0.010, 0.012), (0.020, 0.014)], closed=False), 0.004, lighten(hair, 0.3), 0.45
    )


def _beard(canvas: Canvas, hair: RGB, skin: RGB) -> None:
    beard = [
        (-0.052, 0.080),
        (-0.050, 0.118),
        (-0.036, 0.156),
        (0, 0.176),
        (0.036, 0.156),
        (0.050, 0.118),
        (0.052, 0.080),
        (0.043, 0.098),
        (0.030, 0.112),
        (0, 0.110),
        (-0.030, 0.112),
        (-0.043, 0.098),
    ]
    canvas.polygon(curve(beard), (lighten(hair, 0.06), darken(hair, 0.12)))
    canvas.ellipse(0, 0.1265, 0.0175, 0.0062, mix(darken(skin, 0.3), (170, 84, 78), 0.35))


def _glasses(canvas: Canvas) -> None:
    dark = (42, 44, 52)
    for side in (-1, 1):
        center = (side * 0.0215, 0.087)
        canvas.ellipse(center[0], center[1], 0.0165, 0.0145, (255, 255, 255), 0.22)
        outline = box_points(center[0] - 0.0165, center[1] - 0.0140, center[0] + 0.0165, center[1] + 0.0140, 0.011)
        canvas.stroke([*outline, outline[0]], 0.0032, dark)
        canvas.stroke([(side * 0.038, 0.084), (side * 0.051, 0.082)], 0.0032, dark)
    canvas.stroke([(-0.005, 0.085), (0.005, 0.085)], 0.0032, dark)


def _hat(canvas: Canvas, color: RGB) -> None:
    canvas.ellipse(0, 0.056, 0.046, 0.012, (20, 16, 20), 0.22)
    crown = [
        (-0.050, 0.036),
        (-0.047, 0.004),
        (-0.036, -0.026),
        (-0.012, -0.034),
        (0, -0.028),
        (0.012, -0.034),
        (0.036, -0.026),
        (0.047, 0.004),
        (0.050, 0.036),
        (0, 0.044),
    ]
    canvas.polygon(curve(crown), (lighten(color, 0.10), darken(color, 0.06)))
    band = [(-0.0505, 0.034), (-0.0495, 0.014), (0, 0.022), (0.0495, 0.014), (0.0505, 0.034), (0, 0.044)]
    canvas.polygon(curve(band), darken(color, 0.52))
    brim = [
        (-0.096, 0.036),
        (-0.060, 0.030),
        (0, 0.037),
        (0.060, 0.030),
        (0.096, 0.036),
        (0.070, 0.048),
        (0, 0.056),
        (-0.070, 0.048),
    ]
    canvas.polygon(curve(brim), (lighten(color, 0.04), darken(color, 0.16)))


def _cap(canvas: Canvas, color: RGB) -> None:
    dome = [
        (-0.0545, 0.046),
        (-0.052, 0.010),
        (-0.030, -0.014),
        (0, -0.018),
        (0.030, -0.014),
        (0.052, 0.010),
        (0.0545, 0.046),
        (0, 0.040),
    ]
    canvas.polygon(curve(dome), (lighten(color, 0.08), darken(color, 0.08)))
    canvas.polygon(
        curve([(-0.050, 0.043), (0, 0.034), (0.050, 0.043), (0.044, 0.060), (0, 0.052), (-0.044, 0.060)]),
        darken(color, 0.35),
    )
    canvas.ellipse(0, -0.018, 0.006, 0.004, darken(color, 0.35))

"""Sizes and tolerances of the tests of Anchor Attention."""

from __future__ import annotations

FRAMES, HEIGHT, WIDTH = 5, 8, 16
#: Of what a sampler puts out in single precision, where guidance and the steps make a prediction's 4e-7 larger.
ROUNDING = 5e-6
#: Of the results in double precision; the smallest mistake that is made on purpose here shows above 1e-4.
EXACT, WRONG = 1e-10, 1e-4

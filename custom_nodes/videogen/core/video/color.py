"""What the numbers in a video's frames mean as colors: its tags, and what is assumed where it has none."""

from __future__ import annotations

from dataclasses import dataclass

# Code points of ITU-T H.273, as ffmpeg and the files have them.
UNSPECIFIED = 2
BT709 = 1
BT2020_MATRICES, BT2020_PRIMARIES = (9, 10), 9
BT601_MATRICES = (5, 6)
#: Matrices that can be converted → swscale's number of each; 10 differs from 9 by less than is visible in 8 bits.
MATRICES = {BT709: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
#: Transfer functions of high dynamic range.
PQ, HLG = 16, 18
#: Values of a range's tag: 0 is none.
LIMITED, FULL = 1, 2

#: Chromaticities of red, green, blue and white, by the code of the primaries.
PRIMARIES: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), (0.3127, 0.3290)),
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), (0.3100, 0.3160)),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), (0.3127, 0.3290)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), (0.3127, 0.3290)),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), (0.3127, 0.3290)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3140, 0.3510)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
}
_MATRIX_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020"}
#: Formats that hold RGB, by the beginnings of their names.
_RGB_FORMATS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8")


@dataclass(frozen=True)
class ColorTags:
    """The tags of a video or frame: codes of H.273, `UNSPECIFIED` where there is none; the range `LIMITED`, `FULL` or 0."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    range: int = 0


@dataclass(frozen=True)
class Colors:
    """How frames are to be read.

    Attributes:
        matrix: code of the matrix that makes RGB of them; BT.709 for RGB and gray frames, which need none.
        primaries: code of what red, green and blue are.
        transfer: code of the curve of their levels.
        full: whether they use all levels, 0 to 255, and not 16 to 235.
        guessed: the matrix was not in the file.
    """

    matrix: int
    primaries: int
    transfer: int
    full: bool
    guessed: bool

    @property
    def is_hdr(self) -> bool:
        """Whether they have to be mapped to the levels of an ordinary screen."""
        return self.transfer in (PQ, HLG)

    @property
    def needs_management(self) -> bool:
        """Whether a matrix alone does not make BT.709 of them."""
        return self.is_hdr or self.primaries not in (BT709, UNSPECIFIED)

    @property
    def fits_film(self) -> bool:
        """Whether they are those of films and of everything that is written here: BT.709 in limited range."""
        return self.matrix == BT709 and not self.full and not self.needs_management

    def describe(self) -> str:
        """A few words, such as ``BT.601, full range``."""
        words = [_MATRIX_NAMES.get(self.matrix, f"matrix {self.matrix}")]
        words += ["full range"] * self.full
        words += [{PQ: "HDR (PQ)", HLG: "HDR (HLG)"}.get(self.transfer, "")]
        return ", ".join(filter(None, words))


def read_colors(tags: ColorTags, size: tuple[int, int], pixel_format: str) -> Colors:
    """How frames with these tags are to be read.

    Where the matrix is missing, it follows from the primaries, and else from the size, as in players: BT.601 for standard
    definition (at most 576 lines, and less than 1280 pixels wide), BT.709 above.

    Raises:
        ValueError: a matrix that cannot be converted.
    """
    width, height = size
    primaries = tags.primaries if tags.primaries in PRIMARIES else UNSPECIFIED
    full = tags.range == FULL or pixel_format.startswith("yuvj")
    if pixel_format.startswith(_RGB_FORMATS):
        return Colors(BT709, primaries, tags.transfer, True, False)
    if pixel_format.startswith("gray"):
        return Colors(BT709, primaries, tags.transfer, full, False)
    matrix = tags.matrix
    guessed = matrix not in MATRICES
    if guessed:
        # 0 is RGB, which these frames are not; 3 is reserved.
        if matrix not in (0, UNSPECIFIED, 3):
            raise ValueError(f"its colors are of a kind that cannot be converted (matrix {matrix} of ITU-T H.273)")
        is_small = width < 1280 and height <= 576
        by_primaries = {BT709: BT709, 5: 5, 6: 6, BT2020_PRIMARIES: 9}
        matrix = by_primaries.get(primaries) or (6 if is_small else BT709)
    if primaries == UNSPECIFIED and matrix in BT2020_MATRICES:
        # Nothing but wide color is written with this matrix. BT.601 is different: most such files are sRGB images that a
        # program has encoded with its default matrix, so that its primaries are only taken from a tag.
        primaries = BT2020_PRIMARIES
    return Colors(matrix, primaries, tags.transfer, full, guessed)

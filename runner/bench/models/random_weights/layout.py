"""Layouts: the tensors of a model, and the distribution that each is drawn from."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

Shape = tuple[int, ...]
#: Queries and keys a little hot, so that attention is not an average over everything.
QUERY_KEY_GAIN = 1.4
BIAS_DEVIATION = 0.05
NORM_DEVIATION = 0.1
EMBEDDING_DEVIATION = 0.02


@dataclass(frozen=True)
class Draw:
    """One tensor: uniformly distributed with this mean and standard deviation."""

    shape: Shape
    deviation: float
    mean: float = 0.0

    def fill(self, tensor: torch.Tensor, seed: int) -> torch.Tensor:
        """Draw into a tensor of any dtype, the same numbers on every machine (rounded to float32, then to its dtype)."""
        generator = torch.Generator().manual_seed(seed)
        reach = math.sqrt(3.0) * self.deviation
        values = torch.empty(self.shape).uniform_(self.mean - reach, self.mean + reach, generator=generator)
        with torch.no_grad():
            return tensor.copy_(values)


class Layout(Mapping[str, Draw]):
    """Key → how its tensor is drawn, in the order of the file. Weights keep the variance of what goes through them."""

    def __init__(self) -> None:
        self._draws: dict[str, Draw] = {}

    def linear(self, name: str, outputs: int, inputs: int, *, bias: bool = True, gain: float = 1.0) -> None:
        self._draws[f"{name}.weight"] = Draw((outputs, inputs), gain / math.sqrt(inputs))
        if bias:
            self._draws[f"{name}.bias"] = Draw((outputs,), BIAS_DEVIATION)

    def query_or_key(self, name: str, outputs: int, inputs: int, *, bias: bool = False) -> None:
        self.linear(name, outputs, inputs, bias=bias, gain=QUERY_KEY_GAIN)

    def conv(
        self, name: str, outputs: int, inputs: int, kernel: int = 3, *, bias: bool = True, gain: float = 1.0
    ) -> None:
        self._draws[f"{name}.weight"] = Draw(
            (outputs, inputs, kernel, kernel), gain / math.sqrt(inputs * kernel * kernel)
        )
        if bias:
            self._draws[f"{name}.bias"] = Draw((outputs,), BIAS_DEVIATION)

    def norm(self, name: str, channels: int) -> None:
        self._draws[f"{name}.weight"] = Draw((channels,), NORM_DEVIATION, mean=1.0)
        self._draws[f"{name}.bias"] = Draw((channels,), BIAS_DEVIATION)

    def embedding(self, name: str, *shape: int, deviation: float = EMBEDDING_DEVIATION) -> None:
        self._draws[name] = Draw(shape, deviation)

    def scale(self, name: str, *shape: int) -> None:
        """Factors of a norm without a bias."""
        self._draws[name] = Draw(shape, NORM_DEVIATION, mean=1.0)

    def conv_of(self, name: str, outputs: int, inputs: int, *kernel: int) -> None:
        """A convolution with a kernel of any number of dimensions."""
        deviation = 1 / math.sqrt(inputs * math.prod(kernel))
        self._draws[f"{name}.weight"] = Draw((outputs, inputs, *kernel), deviation)
        self._draws[f"{name}.bias"] = Draw((outputs,), BIAS_DEVIATION)

    def add(self, prefix: str, other: Layout) -> None:
        """Add another layout, its keys after a prefix."""
        self._draws.update({prefix + key: draw for key, draw in other.items()})

    @property
    def digest(self) -> str:
        """Names what would be drawn: it changes when a key, a shape or a distribution does."""
        return hashlib.sha256(repr(self._draws).encode()).hexdigest()[:12]

    def __getitem__(self, key: str) -> Draw:
        return self._draws[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._draws)

    def __len__(self) -> int:
        return len(self._draws)


def draw_tensor(layout: Layout, key: str, *, name: str = "", dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One tensor of a layout. Its values depend only on `name` and its key, not on which others are drawn."""
    draw = layout[key]
    return draw.fill(torch.empty(draw.shape, dtype=dtype), zlib.crc32(f"{name}/{key}".encode()))


def draw_weights(layout: Layout, *, name: str = "", dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """All tensors of a layout.

    Args:
        name: other names, other numbers.
    """
    return {key: draw_tensor(layout, key, name=name, dtype=dtype) for key in layout}

"""Reference images of a story's cast, by name: the content of a REFERENCES socket."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ReferenceImage:
    """An image of a character, object or location.

    Attributes:
        image: (height, width, 3) in 0…1.
        figure: (height, width), 1 where the figure is, or None where no mask was given.
    """

    image: Tensor
    figure: Tensor | None


@dataclass(frozen=True)
class References:
    """Images by the name of the character, object or location that they show, in the order of the nodes."""

    images: tuple[tuple[str, ReferenceImage], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that have images, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.images))

    def of(self, name: str) -> list[ReferenceImage]:
        """The images of one character, object or location, in the order of the nodes."""
        return [image for shown, image in self.images if shown == name]

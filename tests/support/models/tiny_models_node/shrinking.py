"""How ComfyUI's classes get smaller sizes than those that they have by default."""

from __future__ import annotations

from typing import Any


def shrink_config(config: type, **sizes: Any) -> None:
    """Give each configuration of a class these sizes, whichever of them are fields."""
    make = config.__init__  # type: ignore[misc]

    def make_tiny(self: Any, **given: Any) -> None:
        make(self, **given)
        for name, value in sizes.items():
            setattr(self, name, value)

    config.__init__ = make_tiny  # type: ignore[misc]


def shrink_module(module: type, **sizes: Any) -> None:
    """Give each module of a class these sizes, where its constructor's defaults are others."""
    make = module.__init__  # type: ignore[misc]

    def make_tiny(self: Any, *arguments: Any, **given: Any) -> None:
        make(self, *arguments, **{**given, **sizes})

    module.__init__ = make_tiny  # type: ignore[misc]

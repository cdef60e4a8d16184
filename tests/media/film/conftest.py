"""Films are encoded alike on every machine."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.media import ffmpeg


@pytest.fixture(autouse=True)
def _without_a_graphics_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The segments below come from libx264; what is encoded for the film shall come from it too, on any machine."""
    monkeypatch.setattr(ffmpeg, "encoder_works", lambda name: name == "libx264")

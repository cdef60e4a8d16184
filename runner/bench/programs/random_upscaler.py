"""An upscale model of random weights where the Upscale node finds it. ComfyUI's modules are there before this is imported."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import folder_paths
from safetensors.torch import save_file

from custom_nodes.videogen.nodes.frames.upscale import FOLDER, _load

from ..models.random_weights.layout import draw_weights
from ..models.random_weights.upscalers import Upscaler, lay_out_esrgan

#: No name that `auto` takes.
NAME = "random_esrgan.safetensors"


@contextlib.contextmanager
def random_upscaler(upscaler: Upscaler) -> Iterator[str]:
    """The name of its file in models/upscale_models, as long as the context lasts."""
    paths, kinds = folder_paths.folder_names_and_paths[FOLDER]
    with tempfile.TemporaryDirectory(prefix="videogen-") as folder:
        save_file(draw_weights(lay_out_esrgan(upscaler)), Path(folder, NAME))
        folder_paths.folder_names_and_paths[FOLDER] = ([*paths, folder], kinds)
        folder_paths.filename_list_cache.pop(FOLDER, None)
        try:
            yield NAME
        finally:
            folder_paths.folder_names_and_paths[FOLDER] = (paths, kinds)
            folder_paths.filename_list_cache.pop(FOLDER, None)
            _load.cache_clear()

"""Top-level modules of others that some rooms must not import."""

from __future__ import annotations

COMFYUI = {
    "comfy",
    "comfy_api",
    "comfy_api_nodes",
    "comfy_execution",
    "comfy_extras",
    "execution",
    "folder_paths",
    "latent_preview",
    "node_helpers",
    "nodes",
    "server",
}
TORCH = {"torch", "torchvision", "torchaudio", "transformers", "diffusers"}
#: Modules of the standard library that reach files, processes or the network.
OUTSIDE_WORLD = {
    "asyncio",
    "builtins",
    "fileinput",
    "glob",
    "http",
    "io",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "select",
    "shelve",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "urllib",
    "zipfile",
}

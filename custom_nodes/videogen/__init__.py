"""videogen: consistent multi-segment films in ComfyUI, in the editor and headless."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Called by ComfyUI's loader; the nodes are imported here, so that the runner can use `core` without ComfyUI."""
    from .extension import make_extension

    return make_extension()

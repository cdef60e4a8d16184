"""ComfyUI nodes: parse, call, wrap. What can be wrong is decided in `core`, `media` and `tensor`."""

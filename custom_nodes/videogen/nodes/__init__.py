"""ComfyUI nodes: parse, call, wrap. Inputs are validated in `core`, `media`, `tensor` and `comfyui`."""

"""Pure Python: no file access, no processes, no torch, no ComfyUI."""

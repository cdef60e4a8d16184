"""Pure Python: no files, no processes, no torch, no ComfyUI."""

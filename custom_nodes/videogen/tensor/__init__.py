"""Tensor work: torch, and never ComfyUI, so that it can be tested and used without one."""

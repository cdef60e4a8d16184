"""Benchmarks that need torch and ComfyUI's modules. `in_comfyui` starts each in ComfyUI's Python."""

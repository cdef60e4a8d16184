"""Benchmarks that need torch and ComfyUI's modules; each runs in ComfyUI's Python."""

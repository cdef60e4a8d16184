"""Nodes with video models that ComfyUI lacks, through diffusers."""

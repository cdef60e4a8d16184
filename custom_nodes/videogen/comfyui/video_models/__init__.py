"""Pipelines of diffusers inside ComfyUI: folders, memory, progress, previews, canceling, and what their nodes share."""

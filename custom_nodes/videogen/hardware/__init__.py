"""Sensors of cards and processors. Their libraries are imported on first use; nothing here knows torch or ComfyUI."""

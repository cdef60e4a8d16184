"""Frames as ComfyUI batches them: passes, indices, latents, masks, sizes."""

"""Frames as ComfyUI batches them: batches, indices, tensors, latents, masks, sizes."""

"""Video models that ComfyUI lacks, through diffusers. Nothing here imports ComfyUI; diffusers is imported on first use."""

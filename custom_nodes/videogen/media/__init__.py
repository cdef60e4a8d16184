"""Files: video through ffmpeg, images, and stories on disk. No torch, no ComfyUI."""

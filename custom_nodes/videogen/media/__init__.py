"""Files: video through ffmpeg, pictures, and stories on disk. No torch, no ComfyUI."""

"""File access: video through ffmpeg, images, and stories. No torch, no ComfyUI."""

"""The headless side: renders a story on a ComfyUI over its API. Never imports torch."""

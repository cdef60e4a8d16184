"""A ComfyUI server: HTTP client, events, one prompt from submission to outcome, starting and recovering servers."""

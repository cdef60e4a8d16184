"""The ComfyUI that is set up: a release of its own or one that exists already, its torch, and the pack in it."""

"""`videogen run`: a story's segments rendered on ComfyUI servers into a run directory, and the film made from them."""

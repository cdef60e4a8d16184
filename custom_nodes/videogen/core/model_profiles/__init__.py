"""What is known of the models that workflows use: frames, sizes, inputs, prompts, and how a model is recognized."""

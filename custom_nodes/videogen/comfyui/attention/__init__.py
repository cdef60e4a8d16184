"""Images in a model's cross-attention: encoders, tokens, conditions, patches."""

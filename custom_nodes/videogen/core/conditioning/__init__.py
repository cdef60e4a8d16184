"""How strongly and where images condition a model."""

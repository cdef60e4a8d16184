"""Prompts in the form that a model was trained on, compiled from a story's segment."""

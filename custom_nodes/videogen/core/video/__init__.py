"""Sizes, rates, presets, encoder arguments, and the film as a timeline."""

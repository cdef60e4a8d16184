"""Drawing primitives: canvas, colors, fonts, typesetting."""

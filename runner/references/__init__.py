"""Reference images that a film needs: which, from where, and drawing those that are missing."""

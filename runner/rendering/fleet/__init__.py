"""The servers of a run as the renderer sees them: whom to trust, and what they have of earlier runners."""

"""From the workflow that the editor saves to the graph that servers take, as the editor itself does it."""

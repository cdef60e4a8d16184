"""Takes of a segment: measured by the workflow, compared with accepted segments, the best one kept."""

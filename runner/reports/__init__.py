"""Reports of a run: report.json, continuity.json and report.html."""

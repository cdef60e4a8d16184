"""What a run tells of itself: report.json, continuity.json and report.html."""

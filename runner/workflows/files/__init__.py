"""Files that a workflow is found in: JSON in several wrappings, and pictures and videos that were made with it."""

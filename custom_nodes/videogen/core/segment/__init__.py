"""Everything about one segment that follows from its story: plan, prompts, shot, regions, references."""

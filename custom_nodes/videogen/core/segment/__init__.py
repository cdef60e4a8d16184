"""What one segment takes from its story: plan, prompts, shots, regions, references."""

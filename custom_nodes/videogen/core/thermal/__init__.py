"""When to wait for a device: readings, policies, memory budgets."""

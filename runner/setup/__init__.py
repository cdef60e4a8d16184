"""What install.py is made of. Runs on a bare Python: imports the standard library and itself, nothing else."""

"""The parts of install.py. Run on a bare Python: import only the standard library and each other."""

"""The verbs of the command line, one module each: `add_arguments` declares its options, `execute` does it."""

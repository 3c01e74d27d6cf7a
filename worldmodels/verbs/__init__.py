"""The verbs of the command line, without logic of their own."""

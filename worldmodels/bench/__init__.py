"""How fast each part is, how fast this machine could do it, and how fast a plain implementation does it."""

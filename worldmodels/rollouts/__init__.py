"""Episodes of the actual game: what one is, how thousands are stored, and who first plays them."""

"""C, the linear controller: features to actions."""

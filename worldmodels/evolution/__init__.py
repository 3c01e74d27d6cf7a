"""Evolves C by CMA-ES in whichever world it is given."""

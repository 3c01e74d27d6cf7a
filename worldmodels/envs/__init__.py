"""The actual worlds: games, and pools that play many of them at once.

`game(name)` in `game.py` says what a game is; `open_pool(spec)` in `pool.py` plays B episodes of it at once.
This room knows frames and actions only, and no model.
"""

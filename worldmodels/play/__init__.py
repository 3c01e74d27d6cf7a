"""One person inside a dream, in a browser: the session, the screens, and the server around them."""

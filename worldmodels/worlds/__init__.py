"""The actual world and the dream, alike to a controller."""

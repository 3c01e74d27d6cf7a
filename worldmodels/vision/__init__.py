"""V, the VAE: frames to latents and back."""

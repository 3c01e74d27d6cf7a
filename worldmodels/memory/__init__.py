"""M, the MDN-RNN: remembers and predicts latents."""

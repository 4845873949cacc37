"""Sound: reading, writing, windows, loudness, resampling, pictures of sound. Nothing here knows about diffusion."""

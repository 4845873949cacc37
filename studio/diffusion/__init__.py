"""From words and a sound's A* to latents: the prompt, the denoising loop, guidance, previews."""

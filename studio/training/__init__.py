"""Training of the embedded models and of adapters: one loop, one file a task."""

# In the order in which they need each other. Texts for the command line; `recipes.TRAINING` has the recipes
# themselves.
MODELS = {
    "pocket-vae": "the f8 autoencoder, on photo crops",
    "pocket-image": "text encoder and U-Net, on captioned photos (needs pocket-vae)",
    "ear": "the ear that names sounds",
    "adapter": "the word adapter, sound -> A* (needs pocket-image and ear)",
    "classifier": "the picture classifier that scores generated pictures",
}

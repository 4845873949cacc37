"""Training of the embedded models and of adapters: one loop, one file a task."""

# In the order in which they need each other. Texts for the command line; `recipes.TRAINING` has the recipes
# themselves.
MODELS = {
    "pocket-vae": "the f8 autoencoder, on photo crops",
    "pocket-image": "text encoder and U-Net, on captioned photos (needs pocket-vae)",
    "pocket-fast": "a copy of the image model that draws in four steps (needs pocket-image)",
    "ear": "the ear that names sounds",
    "adapter": "what turns sounds into A*, or with --kind gated into tokens (needs pocket-image and ear)",
    "classifier": "the picture classifier that scores generated pictures",
}

# Kinds of adapters that can be trained, and the recipe of each.
ADAPTER_KINDS = {"word": "adapter", "gated": "adapter-gated"}

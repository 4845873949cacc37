"""Training of the embedded models and of adapters: one loop, one file a task."""

# In the order in which they need each other. Texts for the command line; `recipes.TRAINING` has the recipes
# themselves.
MODELS = {
    "pocket-vae": "the f8 autoencoder, on photo crops",
    "pocket-image": "text encoder and U-Net, on captioned photos (needs pocket-vae)",
    "pocket-fast": "a copy of the image model that draws in four steps (needs pocket-image)",
    "ear": "the ear that names sounds",
    "adapter": "what turns sounds into what an image model reads (for pocket: needs pocket-image and ear)",
    "classifier": "the picture classifier that scores generated pictures",
}

# Kinds of adapters that can be trained on a folder of pairs, with what they need of the image model.
ADAPTER_KINDS = {
    "word": "A*, one vector or several (AAI's form); every image model, and on the embedded models' data",
    "audiotoken": "A* by attentive pooling (AudioToken's form); every image model with a text encoder",
    "gated": "tokens beside the text (SonicDiffusion's form); every U-Net, and on the embedded models' data",
    "context": "tokens instead of the text (Seeing Sound's form); PixArt",
}
# Those that are also trained on the embedded models' data, and the recipe of each.
EMBEDDED_KINDS = {"word": "adapter", "gated": "adapter-gated"}

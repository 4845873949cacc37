"""Hearsight: a sound becomes a word, A*, that a frozen text-to-image model understands.

Importing this package costs nothing: no torch, no diffusers, no gradio. The parts are imported where they are used
(`studio.recipe.Recipe`, `studio.engine.Engine`, `studio.library.png`).
"""

__version__ = "0.1.0"

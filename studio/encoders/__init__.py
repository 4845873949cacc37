"""Ears, one file each: a sound goes in, a SoundEmbedding comes out. Adding an ear is adding a file here."""

from studio.encoders.base import Encoder
from studio.registry import Registry

ENCODERS: Registry[type[Encoder]] = Registry("encoder", "studio.encoders")

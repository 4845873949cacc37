"""Adapters, one file each: how a sound enters the image model. Adding an adapter is adding a file here."""

from studio.adapters.base import Adapter
from studio.registry import Registry

ADAPTERS: Registry[type[Adapter]] = Registry("adapter", "studio.adapters")

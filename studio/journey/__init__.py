"""Journeys: pictures along a way through sounds, as a film with the sound under it.

`settings` and `plan` are light to import; the others bring torch, scipy or PyAV when they are used.
"""

"""A module of the app, with a name that the standard library has, too."""

OWN = True

"""Factories of the assets that the package ships: the free stand-in body and the candidate pool."""

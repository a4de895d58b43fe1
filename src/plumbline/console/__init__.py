"""The shell of the console: base templates, components, charts and static files. It knows no room.

A room's ``pages.py`` imports :mod:`plumbline.console.views` (rendering, redirects, errors) and
:mod:`plumbline.console.charts` (pictures); its templates extend ``base.html`` and use the macros of the global ``ui``.
"""

"""The ground: errors, names of columns, settings, atomic files, provenance; it knows of no room."""

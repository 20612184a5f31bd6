"""Stain amounts -> labels -> measured, classified cells."""

"""Measured cells -> what they are: classes, gates, phenotypes, annotated regions."""

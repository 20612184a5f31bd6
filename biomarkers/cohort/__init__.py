"""Levels x clinical table: tables, joining, RECIST, end points, the sample flow."""

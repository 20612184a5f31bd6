"""Baseline -> on-treatment: paired pharmacodynamic change."""

"""Votes to labels, and labels to splits."""

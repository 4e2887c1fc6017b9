"""Corrections of a bundle for single accounts, fitted to their own judged answers."""

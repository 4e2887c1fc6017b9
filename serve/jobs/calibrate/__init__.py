"""Calibrating a model that the bundle was not trained on: ask it questions whose answers are known, grade, and place it among the trained models."""

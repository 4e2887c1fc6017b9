"""Calibration of a model that the bundle was not trained on.

The model is asked questions with known answers, its answers are graded, and it is placed among the trained models.
"""

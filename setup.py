"""Finds the packages, and adds the two folders that travel inside the wheel under another name.

pyproject.toml can say one or the other, not both.
"""

from setuptools import find_packages, setup

BUNDLED = {"serve.bundled.data": "data", "serve.bundled.models": "models"}

setup(
    packages=[*find_packages(include=["router*", "serve*", "training*"]), *BUNDLED],
    package_dir=BUNDLED,
)

"""Ability of every model that can be called: from its grades, published scores, or only its name and price."""

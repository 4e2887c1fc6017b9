"""Confidence intervals of estimates. All kinds work on whole conversations, whose requests are not independent.

Each kind turns an `Estimate` into an interval; the registry lists the kinds. A difference of two estimates is an
`Estimate` too.
"""

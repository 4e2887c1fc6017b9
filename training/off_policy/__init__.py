"""Judges policies on the logs of another policy: estimators, intervals, diagnostics, and limits of what logs can tell.

All estimators here assume:

- *True propensities*: `propensity` is the probability that the lane was drawn with. A mean weight far from 1 shows that
  it is not.
- *Support*: each lane that the judged policy would take could have been drawn. If it could not, the logs cannot tell;
  see `diagnostics`.
- *No hidden confounder*: given the logged columns, the draw depends on nothing else. The way the gateway draws ensures
  this.
- *Independent conversations*: conversations are independent of each other, but the requests of one conversation are
  not; see `intervals`.
- *Missing at random*: whether an answer was judged depends on the request's logged columns and on the lane, but not on
  the quality of the answer beyond those; see `observation`.
"""

"""Judging policies on what another policy logged: estimators, intervals, diagnostics, and when to say that the logs cannot tell.

What every estimator here takes for granted:

- *Logged chances are true*: `propensity` is the number that was drawn with. A mean weight far from 1 says that it was not.
- *Support*: a lane that the judged policy would take could have been drawn. Where not, nothing can be known; see `diagnostics`.
- *No hidden hand*: given what was logged, the draw depends on nothing else. Holds by construction, as the gateway draws.
- *Conversations are independent of each other*, the requests of one are not; see `intervals`.
- *Missing at random*: whether an answer was judged depends on the request's logged columns and the lane, not on how good the answer was beyond them;
  see `observation`.
"""

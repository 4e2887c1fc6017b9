"""The answer: asks the lanes in the decision's order, one attempt at a time, until one of them answers."""

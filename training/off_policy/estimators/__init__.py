"""The estimators, one a file. `n` requests, `m` lanes; of request i, `a_i` was drawn and `r_i` came of it.

w_i = pi(a_i | x_i) / p(a_i | x_i)     weight: how much likelier the judged policy's draw is than the logged one's
o_i = 1[r_i known] / e_i               observation: e_i is the chance that the outcome is known; 1 where all are
q(x, a)                                the reward model, fitted without the request's conversation
Q_i = sum_a pi(a | x_i) q(x_i, a)
"""

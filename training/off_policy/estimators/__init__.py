"""The estimators, one per file. There are `n` requests and `m` lanes. For request i, lane `a_i` gave outcome `r_i`.

w_i = pi(a_i | x_i) / p(a_i | x_i)     weight: probability of the drawn lane under the judged policy / when logged
o_i = 1[r_i known] / e_i               observation weight: e_i is the probability that the outcome is known
q(x, a)                                reward model, fitted without the request's conversation
Q_i = sum_a pi(a | x_i) q(x_i, a)      expected outcome under the judged policy
"""

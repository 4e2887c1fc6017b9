"""The questions that calibrate a new model: `python -m training.question_bank > data/calibration/questions.jsonl`.

- Every answer is computed: by arithmetic, by trying all cases, by running a program, or by asking a database.
- Only the questions of general knowledge and the texts to classify are written by hand (`data/calibration/`).
- Nothing is taken from a benchmark, so no model was trained on these questions.
"""

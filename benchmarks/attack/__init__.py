"""Attack the toolkit with hostile inputs: every command gives a right answer or a helpful refusal, and nothing else.

- `case.py`: one attempt, what is put in place, what is typed, and what must hold.
- `judge.py`: runs a case in a child process with limits, and says whether it was answered, refused or lost.
- `inputs/`: one module for each family of inputs. A module is found by being there. It gives
  ``cases(folder, rng, amount)``: it may put sound originals into `folder`, and returns a list of `Case`, `amount` of
  them (for each original) made at random, beside those that were thought of.
- `campaign.py`: all families or some, all cases or a sample, and the count.
- `mutations.py`: ways to damage bytes, HDF5 files and JSON, for any family.
- `dying.py`, `atlas_cells.py`: writers that die at a chosen step, and small atlases with known answers.
"""

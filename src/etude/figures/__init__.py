"""Floor 2: record to figure. The only host of matplotlib.

Every function takes records or arrays and returns a ``matplotlib.figure.Figure`` through the object API: no pyplot,
no global state. What is computed stands apart from what is drawn. All words come in as arguments, so that a figure
exists in every language.
"""

"""Floor 5: what a finished network is made of, what it sees, and why it answers as it does.

Everything here takes a network and pictures and gives records; words and pages are the report's, drawings of arrays
those of the figures. Records load no torch.
"""

"""Floor 1: reading and preparing a picture safely, the same way for training and for serving. No torch."""

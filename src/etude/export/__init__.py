"""Floor 5: from a trained network to a bundle, through its gates. Needs PyTorch; what it writes does not."""

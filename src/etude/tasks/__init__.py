"""Floor 3: one file a task: head, loss, metrics, step."""

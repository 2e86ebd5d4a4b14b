"""Sources: one file for each layout of pictures on the disk, and for each embedded one."""

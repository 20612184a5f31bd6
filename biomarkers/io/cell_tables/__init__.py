"""Cell tables made by other programs -> the cells of this one."""

"""The Django project: the composition root, which nobody imports."""

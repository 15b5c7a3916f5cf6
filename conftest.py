"""What pytest must not import: Locust patches the whole process on import, so only subprocesses run it."""

collect_ignore = ["im_load/scenario.py", "im_load/driver.py"]
